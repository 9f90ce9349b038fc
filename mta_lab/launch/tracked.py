"""A run as a run of the sweep's experiment."""

from datetime import UTC, datetime

from mta_lab.config import identity_of
from mta_lab.planning.runs import Run
from mta_lab.provenance import commit
from mta_lab.sweep import Sweep
from mta_lab.sweep.naming import in_settings
from mta_lab.tracking.entries import Launch, TrackedRun


def entry_of(sweep: Sweep, run: Run) -> TrackedRun:
    """Return how the tracker shows a run of the sweep."""
    identity, start = identity_of(run.config, run.content_hash), {}
    if run.parent:
        start = {"parent": run.parent.fingerprint, "parent_run": run.parent.label}
    tags = {
        "sweep": sweep.name,
        "scale": sweep.scale,
        "row": run.row,
        "seed": str(run.seed),
        "data": run.content_hash,
        "commit": commit(),
        "meaning": identity.meaning,
        "component_code": identity.code,
        "engine": str(identity.engine),
        **start,
    }
    return TrackedRun(
        fingerprint=run.fingerprint,
        name=run.label,
        config=run.config,
        tags=tags,
    )


def launch_of(sweep: Sweep) -> Launch:
    """Return what the tracker is told of a launch of the sweep."""
    tags = {
        "sweep": sweep.name,
        "scale": sweep.scale,
        "settings": ", ".join(in_settings(sweep.settings)) or "none",
        "commit": commit(),
        "launch": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Launch(
        name=sweep.shown_as,
        tags=tags,
        metric=sweep.validated_by,
        params=(*sweep.differing, "seed"),
        formerly="" if sweep.settings else sweep.name,
    )
