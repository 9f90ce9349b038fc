"""A task as a run of the sweep's experiment."""

from mta_lab.config import identity_of
from mta_lab.provenance import commit
from mta_lab.sweep import Sweep
from mta_lab.tracking.entries import Entry, Launch
from mta_lab.worker.tasks import Task


def entry_of(sweep: Sweep, task: Task) -> Entry:
    """Return how the tracker shows a cell of the sweep."""
    identity = identity_of(task.cell.config, task.content_hash)
    tags = {
        "sweep": sweep.name,
        "scale": sweep.scale,
        "row": task.cell.row,
        "seed": str(task.cell.seed),
        "data": task.content_hash,
        "commit": commit(),
        "meaning": identity.meaning,
        "component_code": identity.code,
        "engine": str(identity.engine),
    }
    return Entry(
        fingerprint=task.fingerprint,
        name=task.cell.label,
        config=task.cell.config,
        tags=tags,
        params=shown_params(sweep),
    )


def launch_of(sweep: Sweep) -> Launch:
    """Return what the tracker is told of a launch of the sweep."""
    tags = {"sweep": sweep.name, "scale": sweep.scale, "commit": commit()}
    return Launch(f"{sweep.name} {sweep.scale}", tags, sweep.quantity, shown_params(sweep) or ())


def shown_params(sweep: Sweep) -> tuple[str, ...] | None:
    """Return the settings in which the sweep's runs differ; None (all) of a single run and of a search."""
    return None if len(sweep.rows) == 1 or sweep.search else (*sweep.differing, "seed")
