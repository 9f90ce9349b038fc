"""`retry`: cells that failed for good are tried again."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.arguments import row_and_settings
from mta_lab.cli.common import make_console
from mta_lab.cli.launching import run as launch_and_show
from mta_lab.cli.sweeping import Plan, plan, tasks_at_hand
from mta_lab.words import counted_are
from mta_lab.worker.guards import only_launch
from mta_lab.worker.tasks import in_state, states


def run(
    name: str,
    words: Sequence[str],
    scale: str,
    seeds: int | None,
    workers: int | None,
    components: Sequence[Path],
    trial_timeout: float | None,
) -> int:
    """Try again what failed of a sweep, or of the row that one of `words` names; the others are settings.

    Then goes on as `sweep` does.
    """
    row, settings = row_and_settings(words)
    found = plan(name, settings, scale, seeds, components)
    named = found.sweep.row(row).name if row else None
    make_console().print(f"{found.sweep.title}: {counted_are(forgive(found, named), 'failed cell')} tried again")
    return launch_and_show(found, workers, components, trial_timeout)


def forgive(plan: Plan, row: str | None = None) -> int:
    """Let the cells that failed for good, of one row if it is named, be tried again; how many there are."""
    tasks = tasks_at_hand(plan)
    if tasks is None:
        return 0
    if plan.sweep.search:
        from mta_lab.cli.searching import failed_trials

        tasks += failed_trials(plan)
    failed = in_state([task for task in tasks if row in (None, task.cell.row)], states(tasks, plan.records), "failed")
    if failed:
        with only_launch(plan.records.directory):
            for task in failed:
                plan.records.forgive(task.fingerprint)
    return len(failed)
