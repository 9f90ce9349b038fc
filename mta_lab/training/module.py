"""The Lightning module of a run: the model, its optimizer and its validations, whatever the task."""

import math
from typing import Any

import lightning
import torch
from torch import Tensor

from components.evaluations import Evaluation
from components.metrics import Scores
from mta_lab.config import RunConfig, TrainingConfig
from mta_lab.model import build_model
from mta_lab.training.loss import Batch, mean_loss, predict
from mta_lab.training.result import Validation
from mta_lab.training.seeds import derive
from mta_lab.training.step import adamw, clip


class DecoderModule(lightning.LightningModule):
    """A decoder trained with AdamW, linear warm-up and the schedule's decay, and scored by its evaluations."""

    def __init__(self, config: RunConfig, domains: tuple[str, ...]) -> None:
        super().__init__()
        if config.training.precision == "auto":
            raise ValueError("training.precision: 'auto' is settled before a run is identified (mta_lab.precision)")
        self.model = build_model(config, derive(config.seed, "weights", config.stream))
        self.config = config.training
        self.domains = domains
        self.validations: list[Validation] = []
        self._means = [(evaluation, _Means(domains)) for evaluation in (config.task.evaluation, *config.evaluations)]

    def validation_step(self, batch: Batch, index: int, dataloader_idx: int = 0) -> None:
        """Add what each evaluation measures on a batch of the domain."""
        predicted = predict(self.model, batch, self.config.precision)
        if not predicted.logits.isfinite().all():
            raise FloatingPointError(f"the validation logits are not finite at step {self.global_step}")
        for evaluation, means in self._means:
            means.add(dataloader_idx, evaluation.values(predicted))

    def on_validation_epoch_end(self) -> None:
        """Turn the means into scores and start anew."""
        (first, scores), *further = [
            (evaluation.metric.name, self._scores(evaluation, means)) for evaluation, means in self._means
        ]
        self.validations.append(
            Validation(
                step=self.global_step,
                quantity=first,
                domains=scores.domains,
                scored=scores.scored,
                further=dict(further),
            )
        )

    def _scores(self, evaluation: Evaluation, means: "_Means") -> Scores:
        found, scored = means.taken()
        domains = {domain: evaluation.score(mean) for domain, mean in found.items()}
        if not all(map(math.isfinite, domains.values())):
            means_found = f"{evaluation.metric.words} of means {[*found.values()]}"
            raise FloatingPointError(f"no finite validation {means_found} at step {self.global_step}")
        return Scores(domains=domains, scored=scored)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the mean loss of the batch's scored predictions, in nats."""
        return mean_loss(self.model, batch, self.config.precision)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradients as every training step does."""
        clip(self.parameters(), self.config)

    def configure_optimizers(self) -> Any:
        """Return AdamW on every parameter, and the schedule that changes its rate at each step."""
        optimizer = adamw(self.parameters(), self.config)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, self.config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(step: int, config: TrainingConfig) -> float:
    """Learning rate of optimizer step `step` (from 0) over its peak: linear up, then as the schedule says."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    return (config.steps - step) / (config.steps - config.warmup_steps)


class _Means:
    """Means of an evaluation's values, a domain each."""

    def __init__(self, domains: tuple[str, ...]) -> None:
        self._domains = domains
        self._sums = torch.zeros(len(domains), dtype=torch.float64)
        self._counts = torch.zeros(len(domains), dtype=torch.int64)

    def add(self, domain: int, values: Tensor) -> None:
        """Add the values of a batch of a domain."""
        self._sums[domain] += values.double().sum().cpu()
        self._counts[domain] += values.numel()

    def taken(self) -> tuple[dict[str, float], dict[str, int]]:
        """Return the mean and the number of values by domain, and start anew."""
        means, counts = (self._sums / self._counts).tolist(), self._counts.tolist()
        self._sums.zero_()
        self._counts.zero_()
        return dict(zip(self._domains, means, strict=True)), dict(zip(self._domains, counts, strict=True))
