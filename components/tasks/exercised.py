"""The contract of a task that mixes exercises into the text that it trains on."""

from dataclasses import dataclass

from components.evaluations import Evaluation, Needles, TextEvaluation
from components.registry import ComponentError
from components.tasks.base import TaskConfig


@dataclass(frozen=True, kw_only=True)
class ExercisedTask(TaskConfig):
    """Base of the tasks that read exercises at some of the steps, and text at the others.

    The answers alone count in the loss of an exercise. Which steps read exercises, and which ones,
    follows from the seed and the step.
    """

    on: tuple[Evaluation, ...] = (Needles(),)
    """evaluations whose questions are exercised, each equally often, with their settings"""
    share: float = 0.5
    """of the steps that read exercises"""
    asked: int = 4
    """most answers of an exercise"""

    def __post_init__(self) -> None:
        if len(self.exercised) < max(len(self.on), 1):
            raise ComponentError(f"on: got {[one.name for one in self.on]}, allowed: evaluations that ask questions")
        if files := [one.name for one in self.exercised if one.path is not None]:
            raise ComponentError(f"on: {files[0]} has a path, allowed: what makes its questions itself")
        if not 0 < self.share <= 1:
            raise ComponentError(f"share: got {self.share}, allowed: more than 0, at most 1")
        if self.asked < 1:
            raise ComponentError(f"asked: got {self.asked}, allowed: 1 or more")

    @property
    def exercised(self) -> tuple[TextEvaluation, ...]:
        """Return the evaluations whose questions are exercised."""
        return tuple(one for one in self.on if isinstance(one, TextEvaluation))
