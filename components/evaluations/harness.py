"""The contract of an evaluation whose questions and scores a harness of somebody else's brings."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from components.evaluations.questions import Answer, Asked, Material, Question, TextEvaluation
from components.evaluations.stand_ins import StandIn
from components.metrics import Metric
from components.registry import ComponentError


@dataclass(frozen=True, kw_only=True)
class HarnessEvaluation(TextEvaluation):
    """Base of the evaluations that a harness asks: its tasks are the groups of questions."""

    counted: ClassVar[Mapping[str, Metric]]
    """metrics by the harness's names for them; what it measures besides is left out"""

    tasks: tuple[str, ...] = ()
    """names of the harness's tasks"""
    limit: int = 0
    """most questions of a task, from its start; 0: all"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit < 0:
            raise ComponentError(f"limit: got {self.limit}, allowed: 0 or more")

    @abstractmethod
    def stand_ins(self, material: Material) -> Sequence[StandIn]:
        """Return tasks that are made of held-out text, of which the harness knows nothing.

        Raises ComponentError where none can be made.
        """

    def ask(self, material: Material) -> Asked:
        """Refuse to say the questions, which the harness makes."""
        raise ComponentError(f"{self.name}: a harness brings its questions; allowed: evaluations like needles")

    def measure(self, question: Question, answers: Sequence[Answer]) -> Mapping[str, float]:
        """Refuse to measure a question of somebody else's."""
        raise ComponentError(f"{self.name}: a harness measures what its questions come to")
