"""Needles found: the share of sequences whose answer is predicted whole (2504.00927, Figure 3)."""

from typing import ClassVar

from torch import Tensor

from components.evaluations.base import Evaluation, Predicted
from components.evaluations.needles import FOUND
from components.metrics import Metric
from components.registry import register


@register("evaluations", "found")
class Found(Evaluation):
    """Share of sequences whose scored tokens are all the most likely ones; higher is better.

    The model is given the tokens before them.
    """

    metric: ClassVar[Metric] = FOUND

    def values(self, predicted: Predicted) -> Tensor:
        """Return whether each sequence is right: [B] bool."""
        right_BT = predicted.logits.argmax(-1) == predicted.targets
        return (right_BT if predicted.scored is None else right_BT | ~predicted.scored.to(right_BT.device)).all(-1)
