"""The executor that stands in for others in tests, and the suite where no process is slow."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mta_lab.executors.base import Failed, Finished, Progressed, RunEvent, RunRequest
from mta_lab.training.result import Progress, TrainingResult
from tests.config.helpers import config
from tests.executors.conformance import Behaviour, ExecutorConformance, Subject
from tests.executors.pretending import PretendingExecutor

STEPS = {"quick": 4, "long": 10**9}


def result(losses: list[tuple[int, float]]) -> TrainingResult:
    return TrainingResult(
        parameters=1, implementations={}, losses=tuple(losses), validations=(), tokens_per_second=1.0,
        training_seconds=1.0, seconds=1.0, peak_memory=None, flops_per_token=1.0, stopped_early=False,
    )  # fmt: skip


def played(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
    """Play a run whose behaviour is the name of its corpus root."""
    how, losses = request.corpus_root.name, []
    if how == "raising":
        yield Failed(kind="exception", reason="RuntimeError: told to raise", traceback="Traceback ...")
    if how == "dying":
        yield Failed(kind="killed", reason="it is gone", traceback="")
    while how == "hanging":
        yield None
    for step in range(start + 1, STEPS[how] + 1):
        losses.append((step, 2.0))
        yield Progressed(progress=Progress(step=step, loss=2.0))
    yield Finished(result=result(losses))


@pytest.fixture(scope="module")
def subject() -> Iterator[Subject]:
    numbers, some = count(), config()

    def request(how: Behaviour) -> RunRequest:
        name = Path(f"run{next(numbers)}")
        return RunRequest(config=some, corpus_root=Path(how), checkpoints=name, weights=name)

    with PretendingExecutor(2, played) as executor:
        yield Subject(executor, request)


class TestPretendingExecutor(ExecutorConformance):
    """The whole suite, in a few seconds."""
