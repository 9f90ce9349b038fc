"""The contract of a task: what a model is trained on and how it is scored.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from components.evaluations import ErrorRate, Evaluation
from components.metrics import Metric
from components.registry import Component, ComponentError


@dataclass(frozen=True, kw_only=True)
class TaskConfig(Component, family="tasks"):
    """Base of all tasks."""

    evaluation: ClassVar[Evaluation]
    """what a model is scored on first of all: rows are compared by it"""

    @property
    def metric(self) -> Metric:
        """Return what a run is scored by."""
        return self.evaluation.metric

    @abstractmethod
    def check(self, *, vocabulary: int, context: int) -> None:
        """Raise ComponentError where a model of that size cannot take the task's tokens."""


class Marks(NamedTuple):
    """Places in a sequence that are worth a mark in a picture; empty where there are none."""

    target: range = range(0)
    """of what the question asks for"""
    queries: range = range(0)
    """at which the answer is predicted, token after token"""


@dataclass(frozen=True, kw_only=True)
class SyntheticTask(TaskConfig):
    """Base of the tasks whose sequences are made, not read: a question on tokens, and its answer.

    The loss is that of the answer's tokens alone; a sequence is wrong if any of them is not the
    most likely one, given those before it (teacher forcing).
    """

    evaluation: ClassVar[Evaluation] = ErrorRate()

    held_out: int = 1000
    """sequences that the error rate is over, the same for every
    run of the task (paper, section 4.1)"""

    def __post_init__(self) -> None:
        if self.held_out < 1:
            raise ComponentError(f"held_out: got {self.held_out}, allowed: 1 or more")

    @property
    @abstractmethod
    def vocabulary(self) -> int:
        """Number of different tokens; they are 0..vocabulary-1."""

    @property
    @abstractmethod
    def context(self) -> int:
        """T, tokens that a model reads of each sequence."""

    @abstractmethod
    def sequences(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return `count` random sequences [B, T + 1] as int64, and a mask of scored targets.

        The mask is [B, T], bool.

        Everything random comes from `generator`, on the CPU.
        """

    @abstractmethod
    def text(self, tokens: Tensor) -> str:
        """One sequence [T + 1] as people read it."""

    def labels(self, tokens: Tensor) -> list[str]:
        """Return each token as people read it (default: its number)."""
        return [str(token) for token in tokens.tolist()]

    def encode(self, text: str) -> Tensor | None:
        """Return the tokens of a user's text; None (the default) where the task reads no text.

        A text with letters that the task lacks is a ComponentError.
        """
        return None

    def marks(self, tokens: Tensor) -> Marks:
        """Return what pictures mark in a sequence (default: nothing).

        The sequence has part of its answer, or none.
        """
        return Marks()

    def check(self, *, vocabulary: int, context: int) -> None:
        if vocabulary != self.vocabulary:
            raise ComponentError(f"{self.name} needs model.vocabulary={self.vocabulary}, got {vocabulary}")
        if context < self.context:
            raise ComponentError(f"{self.name} needs model.context={self.context} or more, got {context}")
