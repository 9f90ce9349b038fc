"""Clear failures, so that a launch tries their runs again."""

from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import failed_trials
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import tuning_runs
from mta_lab.launch.guards import only_launch
from mta_lab.planning.runs import in_state, states, with_parents


def clear_failures(plan: Plan, row: str | None = None) -> int:
    """Clear the failures of a plan, or of one row; return how many runs will be tried again."""
    runs = known_runs(plan)
    if runs is None:
        return 0
    runs += failed_trials(plan)
    chosen = [run for run in runs if row in (None, run.row)]
    chosen += [run for name, tries in tuning_runs(plan).items() for run in tries if row in (None, name)]
    failed = in_state(with_parents(chosen), states(chosen, plan.records), "failed")
    if failed:
        with only_launch(plan.records.directory):
            for run in failed:
                plan.records.clear_failure(run.fingerprint)
    return len(failed)
