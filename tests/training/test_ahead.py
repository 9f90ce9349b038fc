"""Batches that a thread makes are those of the steps, and the thread ends with the run."""

import threading
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.training import ahead
from mta_lab.training.ahead import AHEAD, THREAD, BatchesAhead
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.result import InterruptedRunError
from mta_lab.training.run import train
from tests.training import test_synthetic
from tests.training.conftest import Configure

SHORT = {
    "training.steps": 12,
    "training.warmup_steps": 2,
    "training.validations": 2,
    "training.deterministic": True,
    "attention.dropout": 0.1,
}


class Numbered(Dataset[torch.Tensor]):
    """Batch k holds k; which were made, and by which thread, is kept."""

    def __init__(self, fails: int | None = None) -> None:
        self.fails = fails
        self.made: list[tuple[int, str]] = []

    def __getitem__(self, step: int) -> torch.Tensor:
        self.made.append((step, threading.current_thread().name))
        if step == self.fails:
            raise ValueError(f"no batch {step}")
        return torch.tensor([step])


@pytest.fixture
def on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read ahead as on a GPU."""
    monkeypatch.setattr(ahead, "reads_ahead", lambda: True)


def of_batches() -> list[str]:
    """Return the names of the living threads that make batches."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD)]


def test_they_come_in_order_a_few_made_ahead() -> None:
    batches = Numbered()
    thread = BatchesAhead(batches, range(3, 20))
    assert len(thread) == 17
    reading = iter(thread)
    for step in range(3, 13):
        assert next(reading).item() == step
        assert len(batches.made) <= step - 3 + 1 + AHEAD
    assert [batch.item() for batch in reading] == [*range(13, 20)]
    assert [step for step, _ in batches.made] == [*range(3, 20)]
    assert all(name.startswith(THREAD) for _, name in batches.made)
    thread.close()
    assert of_batches() == []


def test_what_a_batch_raises_is_raised_at_its_step() -> None:
    thread = BatchesAhead(Numbered(fails=2), range(9))
    reading = iter(thread)
    assert [next(reading).item() for _ in range(2)] == [0, 1]
    with pytest.raises(ValueError, match="no batch 2"):
        next(reading)
    thread.close()


@pytest.mark.usefixtures("on_a_thread", "device")
@pytest.mark.parametrize("task", ["language", "find_block"])
def test_a_run_is_the_same_to_the_bit_also_where_it_is_resumed(
    configure: Configure, corpus: Corpus, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, text = (configure, corpus) if task == "language" else (test_synthetic.configure, None)
    config = make(SHORT)
    checkpoints, left = Checkpoints(tmp_path / fingerprint(config, "")), iter(range(5))
    with pytest.raises(InterruptedRunError):
        train(config, text, checkpoints=checkpoints, interrupted=lambda: next(left, None) is None)
    resumed = train(config, text, checkpoints=checkpoints)
    monkeypatch.setattr(ahead, "reads_ahead", lambda: False)
    whole = train(config, text)
    assert (resumed.losses, resumed.validations) == (whole.losses, whole.validations)


@pytest.mark.usefixtures("on_a_thread")
@pytest.mark.parametrize("end", ["well", "interrupted", "with an error"])
def test_the_thread_ends_with_the_run(configure: Configure, corpus: Corpus, end: str) -> None:
    seen: list[str] = []

    def report(_: object) -> bool:
        seen.extend(of_batches())
        if end == "with an error":
            raise FloatingPointError("as a loss that is no number")
        return False

    def run() -> None:
        train(configure(SHORT), corpus, report, interrupted=lambda: end == "interrupted" and bool(seen))

    if end == "well":
        run()
    else:
        with pytest.raises(InterruptedRunError if end == "interrupted" else FloatingPointError):
            run()
    assert seen
    assert of_batches() == []


def test_on_a_cpu_no_thread_makes_them(configure: Configure, corpus: Corpus) -> None:
    seen: list[str] = []
    train(configure(SHORT), corpus, lambda _: bool(seen.extend(of_batches())))
    assert seen == []
