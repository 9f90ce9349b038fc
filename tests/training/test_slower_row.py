"""A row that works 15 % more is found slower, on a busy machine as on a quiet one."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.registry import register, remembered
from mta_lab import children
from mta_lab.bench.rows import WARM_UP, time_rows
from mta_lab.config import RunConfig
from mta_lab.devices import own
from mta_lab.model import build_model
from mta_lab.report.cost import MATTERS, Ratio
from mta_lab.training.step import random_step
from tests.training.conftest import Configure

LAYERS, MORE, SECONDS = 4, 0.15, 60.0
PIECE = torch.ones(64, 64)


class Working(Attention):
    """The values as they are, after so many pieces of work that change nothing."""

    def __init__(self, *, width: int, heads: int, pieces: int) -> None:
        super().__init__(width=width, heads=heads)
        self.pieces = pieces

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        for _ in range(self.pieces):
            torch.mm(PIECE, PIECE)
        return value_BMTd


@pytest.fixture(scope="module", autouse=True)
def variant() -> Iterator[None]:
    """The attention `working`, as long as this module's tests run."""
    forget = remembered()

    @register("attention", "working")
    class WorkingConfig(AttentionConfig):
        """Attention that works for nothing."""

        pieces: int = 0

        def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
            return Working(width=width, heads=heads, pieces=self.pieces)

    yield
    forget()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as a row has that is timed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    started = [subprocess.Popen(children.python("-c", "while True: pass")) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def row(configure: Configure, pieces: int) -> RunConfig:
    """A small model that makes so many pieces of work in each layer."""
    return configure(
        {
            "model": {"width": 48, "heads": 4, "layers": LAYERS, "context": 64, "vocabulary": 300},
            "training.batch_size": 8,
            "attention": {"name": "working", "pieces": pieces},
        }
    )


def pieces_of_a_step(config: RunConfig, share: float) -> int:
    """Return the pieces of work for each layer that come to this share of a step."""
    step = random_step(build_model(config, seed=0), config, own.CPU)
    for _ in range(WARM_UP):
        step()
    steps, pieces = 100, 10_000
    started = time.process_time()
    for _ in range(steps):
        step()
    between = time.process_time()
    for _ in range(pieces):
        torch.mm(PIECE, PIECE)
    ended = time.process_time()
    return max(1, round(share * (between - started) / steps / ((ended - between) / pieces) / LAYERS))


def ratios(rows: dict[str, RunConfig]) -> dict[str, Ratio]:
    """Return each further row's time of a step over that of the first, in turns."""
    first = next(iter(rows))
    found = time_rows(rows, {name: first for name in rows if name != first}, SECONDS).ratios
    return {name: Ratio(value=one.value, low=one.low, high=one.high, least=1 + MATTERS) for name, one in found.items()}


@pytest.mark.alone
@pytest.mark.slow
def test_a_row_that_works_15_percent_more_is_found_slower_on_a_busy_and_on_a_quiet_machine(
    configure: Configure,
) -> None:
    """The same row again is not."""
    plain = row(configure, 0)
    rows = {"first": plain, "again": plain, "slower": row(configure, pieces_of_a_step(plain, MORE))}
    for busy in (0, 2):
        with burning(busy):
            found = ratios(rows)
        assert {name: ratio.apart for name, ratio in found.items()} == {"again": False, "slower": True}, (busy, found)
        assert found["slower"].value < 1.3, (busy, found)
        assert 0.97 < found["again"].value < 1.03, (busy, found)
