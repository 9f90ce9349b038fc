"""`why`: what became of the runs of a row, from the records, and what to type next."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mta_lab.cli.common import launch_news, make_console
from mta_lab.cli.sweeping import Plan, known_runs, plan
from mta_lab.errors import UserError
from mta_lab.launch.guards import launch_runs
from mta_lab.launch.status_file import Busy
from mta_lab.planning.runs import Run, last_result, states, why_stale
from mta_lab.results.records import Record, Records
from mta_lab.words import duration

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
    """Print some lines on each run of `row`, or on that of `seed` alone."""
    found = plan(name, settings, scale, seeds, components)
    found.sweep.row(row)
    if seed is not None and seed not in found.sweep.seeds:
        raise UserError(f"--seed: got {seed}, allowed: {', '.join(map(str, found.sweep.seeds))}")
    runs = known_runs(found)
    if runs is None:
        raise UserError(f"{name}: its text is not prepared here, so every run is pending; type: {found.command}")
    running = _running(found.records)
    console = make_console()
    for run in runs:
        if run.row == row and seed in (None, run.seed):
            for line in _lines(run, found, running.get(run.fingerprint)):
                console.print(line, soft_wrap=True)


def _running(records: Records) -> dict[str, Busy]:
    status = launch_news(records.directory, set()) if launch_runs(records.directory) else None
    return {busy.fingerprint: busy for busy in status.workers} if status else {}


def _lines(run: Run, found: Plan, busy: Busy | None) -> list[str]:
    state = states([run], found.records)[run.fingerprint]
    if state == "finished":
        return _finished(run, found)
    if busy:
        loss = "" if busy.loss is None else f", loss {busy.loss:.3f}"
        since = datetime.fromtimestamp(busy.since).strftime("%H:%M:%S")
        at = f"on worker {busy.worker} since {since}, step {busy.step} of {busy.steps}{loss}"
        return [f"{run.label}: running {at}", "  next: mta-lab status --watch"]
    if state == "failed":
        return _failed(run, found)
    if state == "stale":
        return _stale(run, found)
    kept = sorted(found.records.checkpoints(run.fingerprint).glob("*.ckpt"))
    came = f", kept at step {int(kept[-1].stem)}" if kept else ""
    return [f"{run.label}: pending{came}", f"  next: {found.command}"]


def _finished(run: Run, found: Plan) -> list[str]:
    record = found.records.usable(run.fingerprint)
    if record is None:
        return [f"{run.label}: finished, but its record cannot be used"]
    measured = record.provenance
    later = f"entered later, by the launch or by mta-lab sync {shlex.quote(found.given)}"
    when = f"{measured.get('finished', 'an unknown day')}, commit {measured['commit']}"
    return [
        f"{run.label}: finished {when}, in {duration(record.seconds)}: {record.quantity} {record.score:.3f}",
        f"  record: {found.records.file(run.fingerprint)}",
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


def _failed(run: Run, found: Plan) -> list[str]:
    failure = found.records.failed(run.fingerprint)
    assert failure
    file = found.records.directory / "failed" / f"{run.fingerprint}.json"
    return [
        f"{run.label}: failed ({failure.kind}, attempts: {max(1, len(failure.attempts))}): {failure.reason}",
        *(f"    {line}" for line in failure.traceback.splitlines()[-TRACEBACK:]),
        f"  all of it: {file}; workers' logs: {found.records.directory}/worker-*.log",
        f"  next: {found.retry} {shlex.quote(run.row)}",
    ]


def _stale(run: Run, found: Plan) -> list[str]:
    record, changed = last_result(run, found.records), why_stale(run, found.records)
    when, commit = record.provenance.get("finished", "an unknown day"), record.provenance["commit"]
    return [
        f"{run.label}: stale: {changed} changed since its result of {when}, commit {commit}",
        f"  that result: {record.quantity} {record.score:.3f}, {found.records.file(record.fingerprint)}",
        f"  next: {found.command} --rerun-stale",
    ]
