"""The Lightning module of a run: the model, its optimizer and its validations, whatever the task."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import Tensor

from mta_lab.config import RunConfig, TrainingConfig
from mta_lab.model import build_model
from mta_lab.training.result import Validation
from mta_lab.training.seeds import derive
from mta_lab.training.step import Batch, adamw, clip, mean_loss


class DecoderModule(lightning.LightningModule):
    """A decoder trained with AdamW, linear warm-up and the schedule's decay; subclasses say what is learned.

    A validation is a mean over each domain of what `validation_step` hands to `add`.
    """

    def __init__(self, config: RunConfig, domains: tuple[str, ...]) -> None:
        super().__init__()
        if config.training.precision == "auto":
            raise ValueError("training.precision: 'auto' is settled before a run is identified (mta_lab.precision)")
        self.model = build_model(config, derive(config.seed, "weights", config.stream))
        self.config = config.training
        self.metric = config.task.metric
        self.domains = domains
        self.validations: list[Validation] = []
        self._sums = torch.zeros(len(domains), dtype=torch.float64)
        self._counts = torch.zeros(len(domains), dtype=torch.int64)

    @abstractmethod
    def scores(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """A score for each domain from its mean; what is no number is a FloatingPointError."""

    def add(self, domain: int, values: Tensor) -> None:
        """Add what was computed on a batch of a domain, a value for each thing that is scored."""
        self._sums[domain] += values.double().sum().cpu()
        self._counts[domain] += values.numel()

    def on_validation_epoch_end(self) -> None:
        """Turn the sums into scores and start anew."""
        means = dict(zip(self.domains, (self._sums / self._counts).tolist(), strict=True))
        scored = dict(zip(self.domains, self._counts.tolist(), strict=True))
        self.validations.append(
            Validation(step=self.global_step, quantity=self.metric.name, domains=self.scores(means), scored=scored)
        )
        self._sums.zero_()
        self._counts.zero_()

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
