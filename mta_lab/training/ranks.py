"""The processes that train a run together, one for each of its devices: its ranks.

A run on one device is one process, `ALONE`, for which nothing here does anything. Of several, each
is a `sharding.Sharded`, and enters that with `join` before it trains.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from components import FAMILIES
from mta_lab.config import TrainingConfig


class Ranks:
    """One process, which trains alone: what several do together, it does by itself."""

    rank = 0
    """number of this process, from 0; the first one reports, and writes files"""
    count = 1
    """number of processes"""

    def share(self, sequences: int) -> range:
        """Return which sequences of a batch this process reads.

        All have equally many where the number of processes divides `sequences`, else some one more.
        """
        return range(sequences * self.rank // self.count, sequences * (self.rank + 1) // self.count)

    def shard(self, model: nn.Module) -> None:
        """Leave to each process a shard of the weights, which must be the same in all before."""

    def full(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state of a model or optimizer, whole, as one process would have it.

        All processes call it, and the first one has the result.
        """
        return state

    def cut(self, optimizer: dict[str, Any], parameters: Iterable[nn.Parameter]) -> dict[str, Any]:
        """Return this process's part of the whole state of an optimizer of `parameters`."""
        return optimizer

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Set each tensor to its sum over all processes."""

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Return of each flag whether a process raised it, so that all do the same."""
        return flags

    def least(self, number: int) -> int:
        """Return the least number that a process gave."""
        return number

    def places(self, place: Mapping[str, str]) -> Mapping[str, str]:
        """Return the places of all processes in one, for the record."""
        return place


def obstacle(training: TrainingConfig, count: int) -> str:
    """Return why so many devices cannot train a run together, or an empty text."""
    size, optimizer = training.batch_size, training.optimizer
    if size % count:
        divisors = [n for n in range(1, size + 1) if size % n == 0]
        return f"--devices-per-run: got {count}, allowed: a divisor of training.batch_size ({size}): {divisors}"
    if count > 1 and training.compile == "graph":
        return f"training.compile: got 'graph', which is of one device; allowed on {count} a run: auto, off"
    if count > 1 and training.precision == "fp16":
        return (
            f"training.precision: got 'fp16', whose loss scale one device keeps; allowed on {count} a run: fp32, bf16"
        )
    if count > 1 and not optimizer.by_element:
        able = [one.name for one in FAMILIES["optimizers"].registered() if one.by_element]  # type: ignore[attr-defined]
        said = f"'{optimizer.name}', which makes a step of a whole weight, and each device has a shard of it"
        return f"training.optimizer: got {said}; allowed on {count} devices a run: {', '.join(able)}"
    return ""


ALONE = Ranks()
_joined: list[Ranks] = []


def own() -> Ranks:
    """Return this process's place among those of its run."""
    return _joined[-1] if _joined else ALONE


def join(ranks: Ranks) -> None:
    """Train in this process, from now on, as one of several."""
    _joined.append(ranks)
