"""Explain a row: the state of each of its runs, from the records, and what to type next."""

import shlex
from datetime import datetime

from mta_lab.errors import UserError
from mta_lab.lab.elsewhere import elsewhere, hint
from mta_lab.lab.live import launch_news
from mta_lab.lab.plan import Plan
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import tuned_lines
from mta_lab.launch.guards import launch_runs
from mta_lab.launch.status_file import Busy
from mta_lab.planning.runs import Run, decider, last_result, states, why_stale, with_parents
from mta_lab.results.notes import notes_of
from mta_lab.results.records import Record
from mta_lab.words import duration
from mta_lab.workspace import again

TRACEBACK = 12  # lines, the last ones, that are shown


def explain(plan: Plan, row: str, seed: int | None = None) -> list[str]:
    """Return some lines on each run of `row`, or on the run under `seed` alone.

    Raises:
        UserError: the sweep has no such row or seed, or its text is not prepared here.
    """
    plan.sweep.staged.row(row)
    if seed is not None and seed not in plan.sweep.seeds:
        raise UserError(f"--seed: got {seed}, allowed: {', '.join(map(str, plan.sweep.seeds))}")
    runs = known_runs(plan)
    if runs is None:
        raise UserError(
            f"{plan.given}: its text is not prepared here, so every run is pending; "
            f"type: {again(plan.command)}{hint(plan)}"
        )
    running = _running(plan)
    chosen = [run for run in with_parents(runs) if run.row == row and seed in (None, run.seed)]
    lines = tuned_lines(plan, row) if plan.sweep.tuning else []
    lines += [line for run in chosen for line in _lines(run, plan, running.get(run.fingerprint))]
    return lines + (elsewhere(plan) if plan.under else [])


def _running(plan: Plan) -> dict[str, Busy]:
    directory = plan.records.directory
    status = launch_news(directory, plan.display.note) if launch_runs(directory) else None
    return {busy.fingerprint: busy for busy in status.workers} if status else {}


def _lines(run: Run, plan: Plan, busy: Busy | None) -> list[str]:
    state = states([run], plan.records)[run.fingerprint]
    if state == "finished":
        return _finished(run, plan)
    if busy:
        loss = "" if busy.loss is None else f", loss {busy.loss:.3f}"
        since = datetime.fromtimestamp(busy.since).strftime("%H:%M:%S")
        at = f"on worker {busy.worker} since {since}, step {busy.step} of {busy.steps}{loss}"
        return [f"{run.label}: running {at}", f"  next: {again('mta-lab status --watch')}"]
    if state == "failed":
        return _failed(run, plan)
    if state == "stale":
        return _stale(run, plan)
    if run.parent and states([run], plan.records)[run.parent.fingerprint] != "finished":
        return [f"{run.label}: pending, waits for its parent, {run.parent.label}", f"  next: {again(plan.command)}"]
    kept = sorted(plan.records.checkpoints(run.fingerprint).glob("*.ckpt"))
    came = f", with a checkpoint at step {int(kept[-1].stem)}" if kept else ""
    return [f"{run.label}: pending{came}", f"  next: {again(plan.command)}"]


def _finished(run: Run, plan: Plan) -> list[str]:
    record = plan.records.usable(run.fingerprint)
    if record is None:
        return [f"{run.label}: finished, but its record cannot be used"]
    measured = record.provenance
    later = f"entered later, by the launch or by {again('mta-lab sync')} {shlex.quote(plan.given)}"
    when = f"{measured.get('finished', 'an unknown day')}, commit {measured['commit']}"
    return [
        f"{run.label}: finished {when}, in {duration(record.seconds)}: {record.quantity} {record.score:.3f}",
        f"  record: {plan.records.file(run.fingerprint)}",
        *_start(run, plan),
        *(f"  note: {text}" for text in notes_of(plan.records.directory, [run.fingerprint]).values()),
        f"  arithmetic: {_arithmetic(record)}",
        f"  MLflow run: {record.run_id or later}",
    ]


def _start(run: Run, plan: Plan) -> list[str]:
    """Return a line on what a stage started from."""
    if run.parent is None:
        return []
    record = plan.records.file(run.parent.fingerprint)
    gone = "" if record.exists() else ", which is gone; nothing needs it but a stage that is still to start"
    return [f"  started from: {run.parent.label}, {record}{gone}"]


def _arithmetic(record: Record) -> str:
    """Return what computed the run, with its arithmetic.

    Two runs whose arithmetic is equal were rounded alike.
    """
    if not record.arithmetic:
        return "not recorded"
    parts = "; ".join(f"{part}: {bits}" for part, bits in record.arithmetic.items())
    kernels = f", kernels {record.kernels}" if record.kernels else ""
    return f"{parts} (torch {record.provenance['torch']}{kernels})"


def _failed(run: Run, plan: Plan) -> list[str]:
    failed = decider(run, plan.records)
    failure = plan.records.failed(failed.fingerprint)
    assert failure
    file = plan.records.directory / "failed" / f"{failed.fingerprint}.json"
    if failed is not run:
        said = f"{run.label}: failed with its parent, {failed.label}: {failure.reason}"
        return [said, f"  full traceback: {file}", f"  next: {_retry(run, plan)}"]
    return [
        f"{run.label}: failed ({failure.kind}, attempts: {max(1, len(failure.attempts))}): {failure.reason}",
        *(f"    {line}" for line in failure.traceback.splitlines()[-TRACEBACK:]),
        f"  full traceback: {file}; logs of the workers: {plan.records.directory}/worker-*.log",
        f"  next: {_retry(run, plan)}",
    ]


def _retry(run: Run, plan: Plan) -> str:
    """Return the command that tries a run again: its row's, or all where it is no row."""
    rows = {row.name for row in plan.sweep.rows}
    return again(plan.retry) + (f" {shlex.quote(run.row)}" if run.row in rows else "")


def _stale(run: Run, plan: Plan) -> list[str]:
    old = decider(run, plan.records)
    record, changed = last_result(old, plan.records), why_stale(run, plan.records)
    when, commit = record.provenance.get("finished", "an unknown day"), record.provenance["commit"]
    whose = "its result" if old is run else f"the result of its parent, {old.label},"
    return [
        f"{run.label}: stale: {changed} changed since {whose} of {when}, commit {commit}",
        f"  that result: {record.quantity} {record.score:.3f}, {plan.records.file(record.fingerprint)}",
        f"  next: {again(plan.command)} --rerun-stale",
    ]
