"""`retry`: runs that failed for good are tried again."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.arguments import row_and_settings
from mta_lab.cli.common import make_console
from mta_lab.cli.launching import run as launch_and_show
from mta_lab.cli.sweeping import Plan, known_runs, plan
from mta_lab.launch.guards import only_launch
from mta_lab.planning.runs import in_state, states
from mta_lab.words import counted_are


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
    make_console().print(f"{found.sweep.title}: {counted_are(clear_failure(found, named), 'failed run')} tried again")
    return launch_and_show(found, workers, components, trial_timeout)


def clear_failure(plan: Plan, row: str | None = None) -> int:
    """Let the runs that failed for good, of one row if it is named, be tried again; how many there are."""
    runs = known_runs(plan)
    if runs is None:
        return 0
    if plan.sweep.search:
        from mta_lab.cli.searching import failed_trials

        runs += failed_trials(plan)
    failed = in_state([run for run in runs if row in (None, run.row)], states(runs, plan.records), "failed")
    if failed:
        with only_launch(plan.records.directory):
            for run in failed:
                plan.records.clear_failure(run.fingerprint)
    return len(failed)
