"""Error rate: the share of sequences that are not predicted whole (2504.00927, section 4.1)."""

from typing import ClassVar

from torch import Tensor

from components.evaluations.base import Evaluation, Predicted
from components.metrics import ERROR_RATE, Metric
from components.registry import register


@register("evaluations", "error_rate")
class ErrorRate(Evaluation):
    """Share of sequences with any scored token that is not the most likely one.

    The model is given the tokens before it.
    """

    metric: ClassVar[Metric] = ERROR_RATE

    def values(self, predicted: Predicted) -> Tensor:
        """Return whether each sequence is wrong: [B] bool."""
        wrong_BT = predicted.logits.argmax(-1) != predicted.targets
        return (wrong_BT if predicted.scored is None else wrong_BT & predicted.scored).any(-1)
