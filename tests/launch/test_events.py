"""A launch's events: their order, their log, and its progress at each; no process is started."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta_lab.executors import base, fence
from mta_lab.lab.lines import Lines, count_of
from mta_lab.launch import event_log, status_file
from mta_lab.launch.event_log import EventLog
from mta_lab.launch.events import Announcer, Event, LaunchStarted, Listener, Note, RunRequeued
from mta_lab.launch.listeners import NextRun, QueueListener, RecordsListener
from mta_lab.launch.loop import LaunchLoop
from mta_lab.launch.outlook import Outlook, Tally
from mta_lab.launch.recording import Recorder
from mta_lab.launch.retries import Retries
from mta_lab.launch.status_file import StatusFile, launch_status
from mta_lab.planning.runs import Run
from mta_lab.results.exchange import merge
from mta_lab.results.failures import RETRY, Kind, Retry
from mta_lab.results.records import Record, Records
from mta_lab.results.states import State
from mta_lab.sweep import PlannedRun
from mta_lab.training.result import Progress, TrainingResult, Validation
from tests.config.helpers import config
from tests.executors.pretending import PretendingExecutor, Script
from tests.report.examples import example_sweep

STEPS = 4
FIRST = Validation(step=2, quantity="perplexity", domains={"a": 9.0}, scored={"a": 1})
LAST = replace(FIRST, step=4, domains={"a": 7.0})
RESULT = TrainingResult(
    parameters=1, implementations={}, losses=((4, 2.0),), validations=(FIRST, LAST), tokens_per_second=1.0,
    training_seconds=1.0, seconds=1.0, peak_memory=None, flops_per_token=1.0, stopped_early=False,
)  # fmt: skip


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.outlooks: list[Outlook] = []

    def hear(self, event: Event, outlook: Outlook) -> None:
        self.events.append(event)
        self.outlooks.append(outlook)

    def names(self, *leave_out: str) -> list[str]:
        names = [type(event).__name__ for event in self.events]
        return [name for name in names if name not in leave_out]


class Runs:
    """A queue of runs; prunes the row `poor` at its first validation."""

    def __init__(self, *rows: str) -> None:
        settings = (f"training.steps={STEPS}", "training.warmup_steps=1", "training.validations=2")
        planned = [PlannedRun(row=row, seed=n, config=config(*settings, f"seed={n}")) for n, row in enumerate(rows)]
        self.waiting = [Run.of(run, "text") for run in planned]
        self.first = self.waiting[0].fingerprint
        self.ended: list[str] = []

    def left(self) -> int:
        return len(self.waiting)

    def next(self) -> Run | None:
        return self.waiting.pop(0) if self.waiting else None

    def requeue(self, run: Run, reason: str) -> None:
        self.waiting.append(run)

    def validated(self, run: Run, step: int, score: float) -> bool:
        return run.row == "poor"

    def finished(self, run: Run, record: Record) -> None:
        self.ended.append(run.row)

    def stopped(self, run: Run) -> None:
        self.ended.append(run.row)

    def failed(self, run: Run, reason: str) -> None:
        self.ended.append(run.row)

    def set_aside(self, run: Run) -> None:
        self.ended.append(run.row)


def well(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
    """Progress at steps 1 to 4, scored at 2 and 4, and an end."""
    for step in range(start + 1, STEPS + 1):
        validation = {2: FIRST, 4: LAST}.get(step)
        yield base.Progressed(progress=Progress(step=step, loss=2.0, validation=validation))
    yield base.Finished(result=RESULT)


def failing(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
    """An attempt that is killed at step 1."""
    yield base.Progressed(progress=Progress(step=1, loss=2.0))
    yield base.Failed(kind="killed", reason="gone; password=hunter22", traceback="")


def starving(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
    """An attempt that is out of memory until it reads one sequence at a time, and once then."""
    number = request.config.training.sequences_a_pass
    READ.append(number)
    if READ.count(1) == 2:
        yield from well(request, start)
    else:
        yield base.Failed(kind="out_of_memory", reason="none left", traceback="", micro_batch=number)


SOME: Retry = {"killed": 1, "out_of_memory": 1}
READ: list[int] = []
"""how many sequences each attempt of `starving` reads at a time"""


def launched(folder: Path, queue: Runs, script: Script, *more: Listener, retry: Retry = SOME) -> Heard:
    """Launch the queue's runs on one slot, with real records."""
    records, heard = Records(folder), Heard()
    announcer = Announcer([STEPS] * queue.left())
    with PretendingExecutor(1, script) as executor:
        recorder = Recorder(records, folder, None, lambda fingerprint: "")
        loop = LaunchLoop(queue, executor, announcer, recorder, Retries(retry))
        announcer.listeners += [RecordsListener(records), *more, heard]
        announcer.listeners += [NextRun(loop.submit), QueueListener(queue, loop.prune)]
        with loop.announced(LaunchStarted(sweep="two", scale="nano", command="mta-lab sweep two", slots=1)):
            loop.until_done()
    return heard


def test_a_run_that_is_well_is_announced_from_its_start_to_its_end(tmp_path: Path) -> None:
    queue = Runs("plain")
    heard = launched(tmp_path, queue, well)
    assert heard.names("RunProgressed") == [
        "LaunchStarted", "RunStarted", "RunValidated", "RunValidated", "RunFinished", "LaunchEnded",
    ]  # fmt: skip
    assert heard.names().count("RunProgressed") == 4
    record = Records(tmp_path).finished(queue.first)
    assert record
    assert record.score == 7.0


def test_a_run_that_is_out_of_memory_reads_half_as_much_until_it_reads_one(tmp_path: Path) -> None:
    READ.clear()
    queue = Runs("plain")
    batch_size = queue.waiting[0].config.training.batch_size
    heard = launched(tmp_path, queue, starving)
    assert batch_size > 2
    assert [*(batch_size >> halvings for halvings in range(batch_size.bit_length())), 1] == READ
    assert heard.names("RunProgressed")[-2:] == ["RunFinished", "LaunchEnded"]
    record = Records(tmp_path).finished(queue.first)
    assert record
    assert [attempt.kind for attempt in record.attempts] == ["out_of_memory"] * (len(READ) - 1)


def test_the_record_is_written_before_others_hear_of_the_end(tmp_path: Path) -> None:
    queue, written = Runs("plain"), []

    class Looking:
        def hear(self, event: Event, outlook: Outlook) -> None:
            written.append((type(event).__name__, Records(tmp_path).has_finished(queue.first)))

    launched(tmp_path, queue, well, Looking())
    assert ("RunFinished", True) in written
    assert ("RunValidated", False) in written


def test_an_attempt_that_fails_is_requeued_and_then_failed_for_good(tmp_path: Path) -> None:
    queue = Runs("plain")
    heard = launched(tmp_path, queue, failing)
    assert heard.names("RunProgressed") == [
        "LaunchStarted", "RunStarted", "RunRequeued", "RunStarted", "RunFailed", "LaunchEnded",
    ]  # fmt: skip
    failure = Records(tmp_path).failed(queue.first)
    assert failure
    assert [(attempt.kind, attempt.step) for attempt in failure.attempts] == [("killed", 1)] * 2
    assert queue.ended == ["plain"]


def test_each_attempt_is_given_the_run_that_another_had(tmp_path: Path) -> None:
    given = []

    def looking(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
        given.append(request)
        assert [fence.owns(one.checkpoints, one.attempt) for one in given] == [*[False] * (len(given) - 1), True]
        yield from failing(request, start) if len(given) == 1 else well(request, start)

    launched(tmp_path, Runs("plain"), looking)
    assert len(given) == 2
    assert not fence.owns(given[1].checkpoints, given[1].attempt)  # it has finished


@pytest.mark.parametrize(("lost", "outcome"), [(5, "RunFinished"), (6, "RunFailed")])
def test_machines_that_are_lost_are_counted_apart_from_processes_that_die(
    lost: int, outcome: str, tmp_path: Path
) -> None:
    kinds: list[Kind] = ["killed", "killed", *["lost"] * lost]

    def unlucky(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
        if kinds:
            yield base.Failed(kind=kinds.pop(0), reason="gone", traceback="")
        yield from well(request, start)

    heard = launched(tmp_path, Runs("plain"), unlucky, retry=RETRY)
    assert heard.names().count("RunStarted") == 8
    assert heard.names()[-2] == outcome


def test_a_poor_trial_is_pruned_and_the_next_run_starts(tmp_path: Path) -> None:
    queue = Runs("poor", "plain")
    heard = launched(tmp_path, queue, well)
    names = heard.names("RunProgressed")
    assert names[:4] == ["LaunchStarted", "RunStarted", "RunValidated", "RunPruned"]
    assert names[-2:] == ["RunFinished", "LaunchEnded"]
    assert queue.ended == ["poor", "plain"]
    assert heard.outlooks[-1].ended == 2
    assert heard.outlooks[-1].steps == heard.outlooks[-1].done == 2 + STEPS


def test_an_error_requeues_what_runs_and_ends_the_launch_as_interrupted(tmp_path: Path) -> None:
    def breaking(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
        yield base.Progressed(progress=Progress(step=1, loss=2.0))
        raise KeyboardInterrupt

    told = Heard()
    with pytest.raises(KeyboardInterrupt):
        launched(tmp_path, Runs("plain"), breaking, told)
    assert told.names() == ["LaunchStarted", "RunStarted", "RunProgressed", "RunRequeued", "LaunchEnded"]
    requeued = told.events[-2]
    assert isinstance(requeued, RunRequeued)
    assert (requeued.reason, requeued.step) == ("interrupted", None)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_the_log_has_a_line_for_each_event_and_no_secret(tmp_path: Path) -> None:
    launched(tmp_path, Runs("plain"), failing, EventLog(tmp_path))
    found = lines(tmp_path)
    assert [line["event"] for line in found] == [
        "launch started", "run started", "run progressed", "run requeued", "run started", "run failed", "launch ended",
    ]  # fmt: skip
    assert {line["run"] for line in found if "run" in line} == {"plain seed 0"}
    assert found[3]["reason"] == "gone; password=***"
    assert found[0]["command"] == "mta-lab sweep two"
    assert found[-1]["outcome"] == "failed"
    assert 0 < found[-1]["busy"] <= 1


def test_a_second_launch_appends_to_the_log_and_mends_a_torn_line(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "note"}\n{"eve')
    launched(tmp_path, Runs("plain"), well, EventLog(tmp_path))
    whole, torn, *rest = (tmp_path / "events.jsonl").read_text().splitlines()
    assert (whole, torn) == ('{"event": "note"}', '{"eve')
    assert [json.loads(line)["event"] for line in rest][-1] == "launch ended"


def test_the_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MOST", 1000)
    log, outlook = EventLog(tmp_path), Tally([1]).outlook()
    for number in range(100):
        log.hear(Note(text=f"line {number}"), outlook)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("events.jsonl*"))]
    assert len(sizes) == 2
    assert all(size < 1200 for size in sizes)
    log.hear(Note(text="the last"), outlook)
    assert lines(tmp_path)[-1]["text"] == "the last"


def test_the_status_counts_the_runs_of_each_row_by_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_file, "INTERVAL", 0.0)
    monkeypatch.setattr(status_file, "SHARE", math.inf)
    queue, told = Runs("plain", "poor", "plain"), list[tuple[str, Mapping[str, Mapping[str, int]]]]()
    states: dict[str, State] = {run.fingerprint: "pending" for run in queue.waiting}
    status = StatusFile(example_sweep(tmp_path), list(queue.waiting), states, tmp_path / "launch.json", "mta-lab sweep")

    class Looking:
        def hear(self, event: Event, outlook: Outlook) -> None:
            if found := launch_status(tmp_path):
                told.append((type(event).__name__, found.rows))

    kinds = iter(("killed",))

    def unlucky(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
        yield from failing(request, start) if next(kinds, None) else well(request, start)

    launched(tmp_path, queue, unlucky, status, Looking())
    seen = [rows for name, rows in told if name in ("RunStarted", "RunRequeued", "RunFinished", "RunPruned")]
    assert seen == [
        {"plain": {"pending": 1, "running": 1}, "poor": {"pending": 1}},
        {"plain": {"pending": 2}, "poor": {"pending": 1}},
        {"plain": {"pending": 2}, "poor": {"running": 1}},
        {"plain": {"pending": 2}, "poor": {"pruned": 1}},
        {"plain": {"pending": 1, "running": 1}, "poor": {"pruned": 1}},
        {"plain": {"pending": 1, "finished": 1}, "poor": {"pruned": 1}},
        {"plain": {"finished": 1, "running": 1}, "poor": {"pruned": 1}},
        {"plain": {"finished": 2}, "poor": {"pruned": 1}},
    ]


def test_a_disk_that_takes_no_log_does_not_end_the_launch(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "elsewhere")
    heard = launched(tmp_path, Runs("plain"), well, EventLog(tmp_path))
    assert heard.names()[-1] == "LaunchEnded"
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_shown_says_how_busy_the_slots_were(tmp_path: Path) -> None:
    said: list[str] = []
    launched(tmp_path, Runs("plain"), failing, Lines(said.append))
    assert said[1] == "worker 0: plain seed 0 killed: gone; password=***; it is tried again"
    assert said[-1].startswith("the workers were busy ")


def test_busy_share_is_of_all_slots_since_the_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    tally = Tally([10, 10])
    tally.slots = 2
    assert tally.outlook().busy is None
    tally.start(0)
    now = 104.0
    tally.start(1)
    now = 106.0
    tally.end(0, 10, 10)
    now = 110.0
    tally.advance(1, 2)
    tally.advance(1, 5)
    outlook = tally.outlook()
    assert outlook.busy == pytest.approx(6 / 20)
    assert (outlook.ended, outlook.done, outlook.steps) == (1, 15, 20)
    assert outlook.seconds_left == pytest.approx(10 / 3)


def test_results_that_are_taken_in_from_elsewhere_bring_no_log(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    queue = Runs("plain")
    launched(there, queue, well, EventLog(there))
    merged = merge(Records(here), there, replace=False, failures=True, weights=True)
    assert merged.added == [f"runs/{queue.first}.json"]
    assert not (here / "events.jsonl").exists()


def test_a_count_without_an_estimate_of_time_ends_without_a_comma() -> None:
    known = Outlook(runs=2, ended=1, steps=20, done=12, seconds_left=30.0, busy=None)
    assert count_of(known) == "1/2 runs, about 30 s left"
    assert count_of(replace(known, seconds_left=None)) == "1/2 runs"
