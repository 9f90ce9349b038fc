"""Read the progress of a sweep from the records and the status file of a launch."""

from collections import Counter
from collections.abc import Mapping

from mta_lab.lab.elsewhere import elsewhere
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import trials_left
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import tuning_left
from mta_lab.launch.status_file import LaunchStatus
from mta_lab.planning.runs import states
from mta_lab.words import counted
from mta_lab.workspace import again

Rows = Mapping[str, Mapping[str, int]]


class Standing:
    """The progress of a sweep: the states of its runs by row, and the command to type next."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._runs = known_runs(plan)
        for run in self._runs or ():
            plan.records.usable(run.fingerprint)  # reports records that cannot be used
        self.elsewhere = elsewhere(plan)
        """lines on what is finished under other conditions, with the command that shows it"""

    def rows(self, status: LaunchStatus | None) -> Rows:
        """Return how many runs of each row are in each state; the launch's own are running."""
        sweep = self._plan.sweep
        if self._runs is None:  # its text is not prepared: nothing is finished
            return {row.name: {"pending": len(sweep.seeds)} for row in sweep.rows}
        rows: dict[str, Counter[str]] = {row.name: Counter() for row in sweep.rows}
        running = {busy.fingerprint for busy in status.workers} if status else set()
        became = states(self._runs, self._plan.records)
        for run in self._runs:
            state = became[run.fingerprint]
            rows[run.row]["running" if run.fingerprint in running and state != "finished" else state] += 1
        return rows

    def outcome(self, rows: Rows) -> str:
        """Return the progress in a sentence, and what to type next while no launch runs."""
        sweep, totals = self._plan.sweep, sum((Counter(row) for row in rows.values()), Counter[str]())
        name, runs = f"{sweep.name} ({sweep.conditions})", counted(totals.total(), "run")
        trials, tuning = trials_left(self._plan).total(), tuning_left(self._plan).total()
        if totals["finished"] == totals.total() and not trials + tuning:
            return f"{name}: finished, {runs}. To see its table: {again(self._plan.report)}"
        kinds = {
            f"To train what is missing: {again(self._plan.command)}": trials + tuning + totals["pending"],
            f"To try again what failed: {again(self._plan.retry)}": totals["failed"],
            f"To train again what is stale: {again(self._plan.command)} --rerun-stale": totals["stale"],
        }
        said = ". ".join(line for line, needed in kinds.items() if needed)
        search = f", {counted(trials, 'trial')} of its search left" if trials else ""
        search += f", {counted(tuning, 'run')} of its tuning left" if tuning else ""
        return f"{name}: {totals['finished']} of {runs} finished{search}. {said}"
