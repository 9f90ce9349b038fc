"""The contract of an evaluation: what a model is scored on, in validations and at the end of a run.

Shapes: B sequences, T predictions each, V classes; N values of a batch.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from components.kernels.pointwise import cross_entropy
from components.metrics import Metric, declare
from components.registry import Component


class Predicted(NamedTuple):
    """A batch of predictions, beside what was to be predicted."""

    logits: Tensor
    """[B, T, V] float32, finite"""
    targets: Tensor
    """[B, T] int64"""
    scored: Tensor | None
    """which targets count: [B, T] bool; None where all do"""
    compiled: bool = True
    """whether compiled operators may be used"""

    def losses(self) -> Tensor:
        """Return the loss of each scored prediction [N], in nats."""
        if self.scored is None:
            return cross_entropy(self.logits.flatten(0, 1), self.targets.flatten(), compiled=self.compiled)
        return cross_entropy(self.logits[self.scored], self.targets[self.scored], compiled=self.compiled)


@dataclass(frozen=True, kw_only=True)
class Evaluation(Component, family="evaluations"):
    """Base of all evaluations.

    A domain's score is made from the mean of what is measured on its batches.
    """

    metric: ClassVar[Metric]
    """what its scores are"""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(metric := vars(cls).get("metric"), Metric):
            declare(metric)

    @abstractmethod
    def values(self, predicted: Predicted) -> Tensor:
        """Return what is measured on a batch: [N], bool or float, one for each thing scored."""

    def score(self, mean: float) -> float:
        """Return a domain's score, made from the mean of all its values.

        It is not finite where there is none.
        """
        return mean
