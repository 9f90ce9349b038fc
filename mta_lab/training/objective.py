"""The losses that a step minimises beside the task's: z-loss, label smoothing, those of modules.

Shapes: N scored predictions, V vocabulary.
"""

from torch import Tensor

from components.auxiliary import auxiliary_losses
from components.evaluations import Predicted
from components.registry import ComponentError
from mta_lab.config import Precision, TrainingConfig
from mta_lab.model import Decoder
from mta_lab.training.graphs import graphed
from mta_lab.training.loss import Batch, mean_loss, predict
from mta_lab.training.scaling import LossScale

TASK = "cross_entropy"
"""the loss of the task, by which runs are compared"""


class Objective:
    """The loss that a step minimises: the task's, and others by weight; it keeps them apart."""

    def __init__(self, training: TrainingConfig, scale: LossScale | None = None) -> None:
        """Begin; `scale` is that of the loss, in fp16."""
        self._scale = scale
        self.mean_loss = graphed(mean_loss) if training.compile == "graph" else mean_loss
        """what computes the task's loss, where that is all"""
        of_predictions = {"z_loss": training.z_loss, "label_smoothing": training.label_smoothing}
        self.weights = {name: weight for name, weight in {**of_predictions, **training.auxiliary}.items() if weight}
        """of the losses beside the task's; none in most runs, whose steps need nothing of this"""
        self._auxiliary = self.weights.keys() - of_predictions.keys()
        self._reads_logits = training.reads_logits
        self._sums: dict[str, Tensor] = {}

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss as it is differentiated: in fp16 times its scale."""
        return self._scale.scaled(loss) if self._scale else loss

    def loss(self, model: Decoder, batch: Batch, precision: Precision, divisor: int, share: float) -> Tensor:
        """Return what a micro-batch adds to the objective of its whole batch.

        Args:
            model: the model, which reads the micro-batch.
            batch: the micro-batch.
            precision: of the model's forward pass.
            divisor: the number of scored predictions of the whole batch.
            share: of the whole batch's sequences, those in this one.
        """
        if self._reads_logits:
            predicted = predict(model, batch, precision)
            terms = {TASK: predicted.losses().sum() / divisor, **self._of_predictions(predicted, divisor)}
        else:
            terms = {TASK: mean_loss(model, batch, precision, divisor)}
        if self._auxiliary:
            terms |= {name: loss * share for name, loss in self._of_modules(model).items()}
        for name, term in terms.items():
            before = self._sums.get(name)
            self._sums[name] = term.detach() if before is None else before + term.detach()
        return sum((weight * terms[name] for name, weight in self.weights.items()), start=terms[TASK])

    def taken(self) -> dict[str, Tensor]:
        """Return each loss since the last call, without its weight; none where it is only one."""
        taken, self._sums = self._sums, {}
        return taken

    def _of_predictions(self, predicted: Predicted, divisor: int) -> dict[str, Tensor]:
        """Return the losses that are made of logits.

        z-loss is the mean of log(Z)^2 (Chowdhery et al. 2022, 2204.02311, section 5). That of label
        smoothing is the cross-entropy against even labels less that against the true ones: with
        weight w, the sum is 1 - w of the true one and w of the even one (Szegedy et al. 2016,
        1512.00567).
        """
        found = {}
        logits_NV, targets_N = predicted.logits.flatten(0, 1), predicted.targets.flatten()
        if predicted.scored is not None:
            scored = predicted.scored.flatten()
            logits_NV, targets_N = logits_NV[scored], targets_N[scored]
        if "z_loss" in self.weights:
            found["z_loss"] = logits_NV.logsumexp(-1).square().sum() / divisor
        if "label_smoothing" in self.weights:
            true_N = logits_NV.gather(-1, targets_N[:, None]).squeeze(-1)
            found["label_smoothing"] = (true_N - logits_NV.mean(-1)).sum() / divisor
        return found

    def _of_modules(self, model: Decoder) -> dict[str, Tensor]:
        """Return the losses of modules that have a weight."""
        found = auxiliary_losses(model)
        if missing := sorted(self._auxiliary - found.keys()):
            known = f"they have: {', '.join(sorted(found))}" if found else "none of them has one"
            raise ComponentError(f"training.auxiliary: no module of the model has a loss '{missing[0]}'; {known}")
        return {name: found[name] for name in sorted(self._auxiliary)}
