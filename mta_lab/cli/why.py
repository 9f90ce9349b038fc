"""`why`: what became of the cells of a row, from the records, and what to type next."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mta_lab.cli.common import launch_news, make_console
from mta_lab.cli.sweeping import Plan, plan, tasks_at_hand
from mta_lab.errors import UserError
from mta_lab.records import Record, Records
from mta_lab.words import duration
from mta_lab.worker.beacon import Busy
from mta_lab.worker.guards import launch_runs
from mta_lab.worker.tasks import Task, last_result, states, why_stale

TRACEBACK = 12  # lines of its end


def explain(
    name: str,
    row: str,
    settings: Sequence[str],
    scale: str,
    seeds: int | None,
    seed: int | None,
    components: Sequence[Path],
) -> None:
    """Print some lines on each cell of `row`, or on that of `seed` alone."""
    found = plan(name, settings, scale, seeds, components)
    found.sweep.row(row)
    if seed is not None and seed not in found.sweep.seeds:
        raise UserError(f"--seed: got {seed}, allowed: {', '.join(map(str, found.sweep.seeds))}")
    tasks = tasks_at_hand(found)
    if tasks is None:
        raise UserError(f"{name}: its text is not prepared here, so every cell is pending; type: {found.command}")
    running = _running(found.records)
    console = make_console()
    for task in tasks:
        if task.cell.row == row and seed in (None, task.cell.seed):
            for line in _lines(task, found, running.get(task.fingerprint)):
                console.print(line, soft_wrap=True)


def _running(records: Records) -> dict[str, Busy]:
    news = launch_news(records.directory, set()) if launch_runs(records.directory) else None
    return {busy.fingerprint: busy for busy in news.workers} if news else {}


def _lines(task: Task, found: Plan, busy: Busy | None) -> list[str]:
    state = states([task], found.records)[task.fingerprint]
    if state == "finished":
        return _finished(task, found)
    if busy:
        loss = "" if busy.loss is None else f", loss {busy.loss:.3f}"
        since = datetime.fromtimestamp(busy.since).strftime("%H:%M:%S")
        at = f"on worker {busy.worker} since {since}, step {busy.step} of {busy.steps}{loss}"
        return [f"{task.cell.label}: running {at}", "  next: mta-lab status --watch"]
    if state == "failed":
        return _failed(task, found)
    if state == "stale":
        return _stale(task, found)
    kept = sorted(found.records.checkpoints(task.fingerprint).glob("*.ckpt"))
    came = f", kept at step {int(kept[-1].stem)}" if kept else ""
    return [f"{task.cell.label}: pending{came}", f"  next: {found.command}"]


def _finished(task: Task, found: Plan) -> list[str]:
    record = found.records.usable(task.fingerprint)
    if record is None:
        return [f"{task.cell.label}: finished, but its record cannot be used"]
    measured = record.provenance
    later = f"entered later, by the launch or by mta-lab sync {shlex.quote(found.given)}"
    when = f"{measured.get('finished', 'an unknown day')}, commit {measured['commit']}"
    return [
        f"{task.cell.label}: finished {when}, in {duration(record.seconds)}: {record.quantity} {record.score:.3f}",
        f"  record: {found.records.directory / 'cells' / f'{task.fingerprint}.json'}",
        f"  arithmetic: {_arithmetic(record)}",
        f"  MLflow run: {record.run_id or later}",
    ]


def _arithmetic(record: Record) -> str:
    """Return what computed the run, with the bits by which two runs can be told to be rounded alike."""
    if not record.arithmetic:
        return "not recorded"
    parts = "; ".join(f"{part}: {bits}" for part, bits in record.arithmetic.items())
    kernels = f", kernels {record.kernels}" if record.kernels else ""
    return f"{parts} (torch {record.provenance['torch']}{kernels})"


def _failed(task: Task, found: Plan) -> list[str]:
    failure = found.records.failed(task.fingerprint)
    assert failure
    file = found.records.directory / "failed" / f"{task.fingerprint}.json"
    return [
        f"{task.cell.label}: failed ({failure.kind}, attempts: {max(1, len(failure.attempts))}): {failure.reason}",
        *(f"    {line}" for line in failure.traceback.splitlines()[-TRACEBACK:]),
        f"  all of it: {file}; workers' logs: {found.records.directory}/worker-*.log",
        f"  next: {found.retry} {shlex.quote(task.cell.row)}",
    ]


def _stale(task: Task, found: Plan) -> list[str]:
    record, changed = last_result(task, found.records), why_stale(task, found.records)
    when, commit = record.provenance.get("finished", "an unknown day"), record.provenance["commit"]
    return [
        f"{task.cell.label}: stale: {changed} changed since its result of {when}, commit {commit}",
        f"  that result: {record.quantity} {record.score:.3f}, "
        f"{found.records.directory / 'cells' / f'{record.fingerprint}.json'}",
        f"  next: {found.command} --rerun-stale",
    ]
