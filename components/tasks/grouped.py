"""The contract of a synthetic task whose held-out sequences fall into groups.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from components.registry import ComponentError
from components.tasks.base import SyntheticTask


@dataclass(frozen=True, kw_only=True)
class GroupedTask(SyntheticTask):
    """Base of the tasks whose held-out sequences fall into groups, each with a score of its own.

    A run's score is the mean over the groups. Their sequences may be longer than those of training.
    """

    held_out: int = 500
    """sequences of each group, the same for every run of the task"""

    @property
    @abstractmethod
    def groups(self) -> tuple[str, ...]:
        """Return the names of the groups; parts of a name are separated by ', '."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """Return the most tokens that a model reads of a held-out sequence."""

    @abstractmethod
    def held_out_of(self, group: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return `held_out` sequences of a group, as `sequences` does, of its own length."""

    @abstractmethod
    def floors(self) -> Mapping[str, Mapping[str, float]]:
        """Return how often guesses without knowledge are right, by guess and then by group."""

    def check(self, *, vocabulary: int, context: int) -> None:
        super().check(vocabulary=vocabulary, context=context)
        if context < self.longest:
            raise ComponentError(
                f"{self.name} needs model.context={self.longest} or more for its held-out sequences, got {context}"
            )
