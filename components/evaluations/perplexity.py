"""Perplexity: how many tokens the model hesitates between, on average (2504.00927, section 4.2)."""

import math
from typing import ClassVar

from torch import Tensor

from components.evaluations.base import Evaluation, Predicted
from components.metrics import PERPLEXITY, Metric
from components.registry import register

LARGEST_LOSS = 700.0  # nats a token; exp of more is no number any more


@register("evaluations", "perplexity")
class Perplexity(Evaluation):
    """exp of the mean loss of the scored tokens."""

    metric: ClassVar[Metric] = PERPLEXITY

    def values(self, predicted: Predicted) -> Tensor:
        """Return the loss of each scored token, in nats."""
        return predicted.losses()

    def score(self, mean: float) -> float:
        """Return the perplexity of a mean loss in nats; infinite where no float holds it."""
        return math.exp(mean) if mean < LARGEST_LOSS else math.inf
