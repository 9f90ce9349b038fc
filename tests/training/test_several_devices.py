"""A run on several devices is that of one: here two processes share a run, and compare with one."""

import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from mta_lab.config import RunConfig, fingerprint
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.training import ranks, tensors
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.result import InterruptedRunError, TrainingResult
from mta_lab.training.run import train
from mta_lab.training.sizes import micro_batch_of
from tests.training import test_synthetic
from tests.training.conftest import Configure

SHORT = {
    "training.steps": 6,
    "training.warmup_steps": 2,
    "training.validations": 2,
    "training.batch_size": 4,
    "training.validation_tokens": 80,  # 5 windows: of the last batch one process reads none
    "training.gradient_clip": 0.1,  # exceeded at each step
    "attention": {"name": "multi_token", "dropout": 0.1},
}
COUNT = 2
ENOUGH = 120.0  # seconds, in which a run of a second is long over


def curve(result: TrainingResult) -> torch.Tensor:
    """Return all losses and validations of a run, in nats."""
    scores = [math.log(score) for one in result.validations for score in one.domains.values()]
    return torch.tensor([loss for _, loss in result.losses] + scores, dtype=torch.float64)


def serve(rank: int, meeting: Path, orders: "Connection[Any, Any]") -> None:
    """Train what is asked for, as one of the processes of a run."""
    from mta_lab.training.sharding import Sharded

    torch.set_num_threads(1)
    ranks.join(Sharded(rank, COUNT, meeting))
    while asked := orders.recv():
        orders.send(attempt(**asked))


def attempt(
    config: RunConfig, corpus: Corpus | None, folder: Path | None = None, stop: int = -1
) -> tuple[Any, list[str]]:
    """Return the result of a run or its error, and what it said.

    Where it looks for orders, it is told to stop the time `stop`, counted from 1.
    """
    said, looks = list[str](), 0

    def interrupted() -> bool:
        nonlocal looks
        looks += ranks.own().rank == ranks.own().count - 1  # the last process alone is told to stop
        return looks == stop

    kept = Checkpoints(folder / fingerprint(config, "")) if folder else None
    weights = folder / f"{ranks.own().count}.pt" if folder else None
    try:
        result = train(config, corpus, checkpoints=kept, weights=weights, interrupted=interrupted, say=said.append)
    except (InterruptedRunError, UserError) as error:
        return error, said
    return result, said


class Pair:
    """Two processes that train together."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mta_lab.training.run", "mta_lab.training.sharding"])
        pipes = [context.Pipe() for _ in range(COUNT)]
        self.orders = [ours for ours, _ in pipes]
        self.processes = [
            context.Process(target=serve, args=(rank, folder / "meeting", theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()

    def attempt(
        self, config: RunConfig, corpus: Corpus | None, folder: Path | None = None, stop: int = -1
    ) -> tuple[Any, list[str]]:
        """Return what the first of them came to and said; the others must come to the same."""
        for orders in self.orders:
            orders.send({"config": config, "corpus": corpus, "folder": folder, "stop": stop})
        assert all(orders.poll(ENOUGH) for orders in self.orders)
        (first, said), *others = (orders.recv() for orders in self.orders)
        for other, _ in others:
            assert type(other) is type(first)
            if isinstance(first, TrainingResult):
                assert (other.losses, other.validations) == (first.losses, first.validations)
        return first, said

    def close(self) -> None:
        for orders in self.orders:
            orders.send(None)
        for process in self.processes:
            process.join()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.close()


TRAINED: list[dict[str, Any]] = [
    {"training.optimizer": "sgd", "training.learning_rate": 0.1, "training.ema": 0.5, "training.z_loss": 0.1},
    {"training.optimizer": "lion", "training.learning_rate": 1e-4, "training.no_decay": ["norms"]},
]
Make = Callable[[dict[str, Any]], RunConfig]


@pytest.mark.parametrize(
    ("changed", "micro_batch"),
    [
        ({"attention": {"name": "multi_token"}}, 2),
        ({"training.micro_batch": 1}, 1),
        pytest.param({"training.micro_batch": 4, "training.recompute": "blocks"}, 2, marks=pytest.mark.slow),
        pytest.param({"training.compiled": False}, 2, marks=pytest.mark.slow),
        pytest.param({"attention": "differential"}, 2, marks=pytest.mark.slow),
        pytest.param({"attention": "talking_heads"}, 2, marks=pytest.mark.slow),
        *(pytest.param(changed, 2, marks=pytest.mark.slow) for changed in TRAINED),
    ],
)
def test_two_train_as_one(
    pair: Pair, configure: Configure, corpus: Corpus, tmp_path: Path, changed: dict[str, Any], micro_batch: int
) -> None:
    config = configure({**SHORT, **changed})
    one, _ = attempt(config, corpus, tmp_path)
    two, _ = pair.attempt(config, corpus, tmp_path)
    torch.testing.assert_close(curve(two), curve(one), rtol=1e-6, atol=0.0)
    for before, after in zip(one.validations, two.validations, strict=True):
        assert before.scored == after.scored
    weights, expected = (tensors.read(tmp_path / f"{count}.pt") for count in (COUNT, 1))
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-4)  # AdamW turns tiny gradients into steps
    assert (two.parameters, two.flops_per_token) == (one.parameters, one.flops_per_token)
    assert two.implementations == one.implementations
    assert two.micro_batches == (micro_batch,)
    assert (one.devices_per_run, two.devices_per_run) == (1, 2)
    assert two.place == one.place


@pytest.mark.slow
def test_two_train_a_synthetic_task_as_one(pair: Pair) -> None:
    config = test_synthetic.configure({"training.steps": 6, "training.warmup_steps": 2, "attention.dropout": 0.1})
    one, _ = attempt(config, None)
    two, _ = pair.attempt(config, None)
    torch.testing.assert_close(torch.tensor(two.losses), torch.tensor(one.losses), rtol=1e-6, atol=0.0)
    for before, after in zip(one.validations, two.validations, strict=True):
        assert (before.domains, before.scored) == (after.domains, after.scored)


SLOW = [pytest.param(first, stop, marks=pytest.mark.slow) for first, stop in ((1, 7), (1, 11), (COUNT, 5), (COUNT, 11))]


@pytest.mark.parametrize(("first", "stop"), [(1, 5), (COUNT, 7), *SLOW])  # at 7 inside a validation
def test_a_run_goes_on_with_another_number_of_devices(
    pair: Pair, configure: Configure, corpus: Corpus, tmp_path: Path, first: int, stop: int
) -> None:
    config = configure(SHORT)
    whole, _ = attempt(config, corpus)
    ways = [attempt, pair.attempt] if first == 1 else [pair.attempt, attempt]
    kept, _ = ways[0](config, corpus, tmp_path, stop)
    assert isinstance(kept, InterruptedRunError)
    assert kept.step > 0
    resumed, said = ways[1](config, corpus, tmp_path)
    assert said[0] == f"resumed at step {kept.step}"
    assert said[1].startswith(
        f"--devices-per-run: got {3 - first}, where the run was kept with {first}: each step equal to about"
    )
    torch.testing.assert_close(curve(resumed), curve(whole), rtol=1e-6, atol=0.0)


def test_a_batch_that_cannot_be_shared_out_is_refused(pair: Pair, configure: Configure, corpus: Corpus) -> None:
    refused, _ = pair.attempt(configure({**SHORT, "training.batch_size": 3}), corpus)
    assert str(refused) == "--devices-per-run: got 2, allowed: a divisor of training.batch_size (3): [1, 3]"


def test_a_device_reads_at_most_its_share_at_a_time(configure: Configure) -> None:
    config = configure(SHORT)
    assert [micro_batch_of(config, 0, devices=devices) for devices in (1, 2, 4)] == [4, 2, 1]
    set_so = replace(config, training=replace(config.training, micro_batch=4))
    assert micro_batch_of(set_so, 0, devices=2) == 2
