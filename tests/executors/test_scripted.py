"""The account of workers elsewhere, held to the whole suite; machines that are lost or late."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mta_lab.executors import fence
from mta_lab.executors.base import Failed, Finished, Progressed, Resources, RunEvent, RunRequest, Slot
from mta_lab.executors.places import Gate
from mta_lab.executors.workers import WorkersExecutor
from mta_lab.training.result import Progress
from tests.config.helpers import config
from tests.executors.conformance import Behaviour, ExecutorConformance, Subject, Told
from tests.executors.scripted import VERSIONS, ScriptedWorkers
from tests.executors.test_pretending import played, result


def executor_of(workers: ScriptedWorkers, said: list[str] | None = None) -> WorkersExecutor:
    """Return the executor of scripted workers, whose places pass a gate."""
    slots = [Slot(number=number, resources=Resources(cores=1)) for number in range(len(workers.hosts))]
    gate = Gate(workers.directory, VERSIONS, (said if said is not None else []).append)
    return WorkersExecutor(slots, workers, gate)


def requests(folder: Path) -> Iterator[RunRequest]:
    """Yield runs, each given to an attempt."""
    for number in count():
        run = folder / f"run{number}"
        yield RunRequest(config=config(), corpus_root=folder, checkpoints=run, weights=run, attempt=fence.give(run))


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    numbers, some = count(), config()

    def request(how: Behaviour) -> RunRequest:
        name = Path(f"run{next(numbers)}")
        return RunRequest(config=some, corpus_root=Path(how), checkpoints=name, weights=name)

    with executor_of(ScriptedWorkers(["a", "b"], played, tmp_path_factory.mktemp("launch"))) as executor:
        yield Subject(executor, request)


class TestScriptedExecutor(ExecutorConformance):
    """The whole suite."""


def writing(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
    """Play a run that writes how far it is, as long as it is the owner of its files."""
    for step in range(start + 1, 40):
        yield Progressed(progress=Progress(step=step, loss=2.0))
        if not fence.owns(request.checkpoints, request.attempt):
            yield Failed(kind="lost", reason="given away", traceback="")
        (request.checkpoints / "step").write_text(str(step))
    yield Finished(result=result([(40, 2.0)]))


def test_a_run_whose_machine_is_lost_goes_on_elsewhere_and_what_the_machine_still_does_counts_for_nothing(
    tmp_path: Path,
) -> None:
    workers = ScriptedWorkers(["a", "b"], writing, tmp_path)
    with executor_of(workers) as executor:
        told, request = Told(executor), next(requests(tmp_path))
        first = executor.submit(request)
        told.until_heard(first, times=5)
        workers.lose("a", instead="c")
        end = told.end_of(first)
        assert isinstance(end, Failed)
        assert (end.kind, end.reason) == ("lost", "host a is gone")
        (attempt,) = workers.cut_off  # it goes on, and writes
        told.until(lambda: attempt.step > 10)
        assert int((request.checkpoints / "step").read_text()) >= 10
        again = executor.submit(RunRequest(**{**vars(request), "attempt": fence.give(request.checkpoints)}))
        assert isinstance(told.end_of(again), Finished)
        assert workers.cut_off == []
        assert told.of(first)[-1] is end
        assert [slot.place.host for slot in executor.slots if slot.place] == ["c", "b"]


def test_a_machine_that_comes_late_is_one_more(tmp_path: Path) -> None:
    workers = ScriptedWorkers(["a", "b"], writing, tmp_path, late={1})
    with executor_of(workers) as executor:
        told, some = Told(executor), requests(tmp_path)
        handles = [executor.submit(next(some)) for _ in range(3)]
        told.until_heard(handles[0], times=5)
        assert [handle.state for handle in handles] == ["running", "queued", "queued"]
        workers.late.clear()
        assert all(isinstance(told.end_of(handle), Finished) for handle in handles)
        assert {handle.slot.place.host for handle in handles if handle.slot and handle.slot.place} == {"a", "b"}
