"""Build the table of a plan's finished runs, and what MLflow shows of it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from mta_lab.errors import UserError
from mta_lab.evaluation import evaluation_fingerprint
from mta_lab.lab.looks import changed_looks
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import searched
from mta_lab.lab.texts import absent_texts, known_runs
from mta_lab.planning.runs import Run, with_parents
from mta_lab.report import Table, build_table, markdown
from mta_lab.report.data import summary
from mta_lab.results.notes import notes_of
from mta_lab.stats.contrasts import EFFECT
from mta_lab.sweep.evidence import read_share
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import counted_are
from mta_lab.workspace import again

DASHBOARD = "http://127.0.0.1:5000"  # where `mta-lab dashboard` listens by default


def effect_of(given: str | None) -> float:
    """Return the effect whose power a table states: `2%` as 0.02, the usual one if none."""
    return EFFECT if given is None else read_share(given, "--effect")


def finished_table(plan: Plan, effect: float = EFFECT) -> Table:
    """Return the table of what is finished, and note if only the records name its text.

    Raises:
        UserError: its text is not prepared, and no run is finished.
    """
    runs = known_runs(plan)
    if runs is None:
        raise UserError(
            f"{plan.given}: its text is not prepared here, and no run of it is finished in {plan.records.directory}; "
            f"`{again(plan.command)}` prepares it and trains what is missing"
        )
    table = table_of(plan, runs, effect)
    for remark in table.remarks:
        plan.display.note(f"{plan.given}: {remark}")
    return table


def table_of(plan: Plan, runs: Sequence[Run], effect: float = EFFECT) -> Table:
    """Return the table of a plan, with those of `runs` that are finished.

    It states the power for an `effect`. The looks that it has used are kept beside the records.
    """
    fingerprints = {(run.row, run.seed): run.fingerprint for run in runs}
    parents = {run.fingerprint: run.parent.fingerprint for run in with_parents(runs) if run.parent}
    table = build_table(plan.sweep, fingerprints, plan.records, effect, _asked(plan, runs), parents)
    remarks = *_remarks(plan, runs), *_unasked(plan, runs, table), *changed_looks(plan, table), *_notes(plan, runs)
    return replace(table, remarks=remarks, searched=searched(plan))


def _notes(plan: Plan, runs: Sequence[Run]) -> list[str]:
    """Return what was written down on the runs, each with the run's name."""
    notes = notes_of(plan.records.directory)
    return [f"note on {run.label}: {notes[run.fingerprint].rstrip('.')}" for run in runs if run.fingerprint in notes]


def _asked(plan: Plan, runs: Sequence[Run]) -> dict[str, str]:
    """Return the fingerprint of the evaluation that rows are compared by, by row, if there is one.

    It is the same for all seeds of a row.
    """
    first = {run.row: run for run in reversed(runs)}
    return {
        row: evaluation_fingerprint(evaluation, run.config, run.content_hash)
        for evaluation in plan.sweep.evaluations[:1]
        for row, run in first.items()
    }


def _unasked(plan: Plan, runs: Sequence[Run], table: Table) -> tuple[str, ...]:
    """Return a remark on finished runs that were not asked yet, and so have no score here."""
    if not plan.sweep.evaluations:
        return ()
    left = sum(plan.records.has_finished(run.fingerprint) for run in runs) - table.finished
    if left <= 0:
        return ()
    name = plan.sweep.evaluations[0].name
    return (f"{counted_are(left, 'run')} trained and not asked yet: `{again(plan.command)}` asks {name}",)


def launch_summary(plan: Plan, table: Table) -> LaunchSummary:
    """Return what MLflow shows of a plan's table."""
    from mta_lab.report.files import artifacts  # noqa: PLC0415  imports matplotlib, and tables are quick without

    return LaunchSummary(markdown(table), summary(table), lambda: artifacts(table, plan.command, dashboard_address()))


def dashboard_address() -> str:
    """Return the address of MLflow's pages, without a user name and password in it."""
    store = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if store.scheme not in ("http", "https"):
        return DASHBOARD
    return f"{store.scheme}://{store.netloc.rpartition('@')[2]}{store.path.rstrip('/')}"


def _remarks(plan: Plan, runs: Sequence[Run]) -> tuple[str, ...]:
    """Return a remark on which text the runs read, if only their records name it."""
    read = sorted({run.content_hash[:16] for run in runs} - {""})
    if not read or not absent_texts(plan):
        return ()
    return (f"the text is not prepared here; the finished runs read the one with the hash {', '.join(read)}",)
