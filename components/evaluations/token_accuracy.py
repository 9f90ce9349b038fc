"""Token accuracy: the share of tokens that the model predicts; higher is better."""

from typing import ClassVar

from torch import Tensor

from components.evaluations.base import Evaluation, Predicted
from components.metrics import Metric
from components.registry import register


@register("evaluations", "token_accuracy")
class TokenAccuracy(Evaluation):
    """Share of scored tokens that are the most likely one, given those before them."""

    metric: ClassVar[Metric] = Metric(name="token_accuracy", estimator="proportions", higher_is_better=True, most=1.0)

    def values(self, predicted: Predicted) -> Tensor:
        """Return whether each scored token is predicted: [N] bool."""
        right_BT = predicted.logits.argmax(-1) == predicted.targets
        return right_BT.flatten() if predicted.scored is None else right_BT[predicted.scored]
