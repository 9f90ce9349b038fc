"""Define the Lightning module of a run: model, optimizer and validations, for any task."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.plugins.precision import Precision
from torch import Tensor

from components.evaluations import Scoring
from components.registry import ComponentError
from mta_lab.config import RunConfig, TrainingConfig
from mta_lab.devices import own
from mta_lab.model import Decoder, build_model
from mta_lab.training.average import Average
from mta_lab.training.loss import Batch, on_device, part_of, predict, tokens_of
from mta_lab.training.objective import Objective
from mta_lab.training.ranks import ALONE, Ranks
from mta_lab.training.result import Validation
from mta_lab.training.scaling import LossScale
from mta_lab.training.seeds import derive
from mta_lab.training.step import accumulated_loss, clip, optimizer_of


class DecoderModule(lightning.LightningModule):
    """A decoder, trained by an optimizer and a schedule, and scored by its evaluations."""

    def __init__(self, config: RunConfig, domains: tuple[str, ...], ranks: Ranks = ALONE) -> None:
        super().__init__()
        if config.training.precision == "auto":
            raise ValueError("training.precision: 'auto' must be resolved before a run is trained (mta_lab.precision)")
        self.model = build_model(config, derive(config.seed_of("init"), "weights", config.stream))
        self.config = config.training
        self._ranks = ranks
        self.micro_batch = config.training.sequences_a_pass
        """sequences that a step reads at a time"""
        self.loss_scale = LossScale(own.device()) if config.training.precision == "fp16" else None
        """that of the loss, in fp16"""
        self._objective = Objective(config.training, self.loss_scale)
        self._drops = config.attention.dropout > 0
        self._dropout_seed = derive(config.seed_of("dropout"), "dropout", config.draws)
        self.average: Average | None = None
        """the average of the weights, where the run has one"""
        self.domains = domains
        self.validations: list[Validation] = []
        self.tokens_per_step = config.tokens_per_step
        self.gradient_norm = torch.zeros(())
        """of the last step's gradients before they were clipped; of several processes a DTensor"""
        self.learning_rate = 0.0
        """of the last step"""
        self._scoring = Scoring((config.task.evaluation, *config.evaluations), domains)

    @property
    def scored(self) -> Decoder:
        """Return the model that is scored and kept: the average, if there is one."""
        return self.average.model if self.average else self.model

    def begin_average(self) -> None:
        """Average the weights from now on, where `training.ema` says so."""
        self.average = Average(self.model, self.config.ema) if self.config.ema else None

    def on_validation_start(self) -> None:
        """Have the scored model where the batches are."""
        self.scored.to(self.device)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return the batch, its tokens on the device."""
        return on_device(batch, device)

    def validation_step(self, batch: Batch, index: int, dataloader_idx: int = 0) -> None:
        """Add this process's share of a domain's batch to every evaluation."""
        with self._step_said():
            share = self._ranks.share(len(tokens_of(batch)))
            read = share or range(1)  # a process without a share takes part in gathering the weights
            predicted = predict(self.scored, part_of(batch, slice(read.start, read.stop)), self.config.precision)
            if share:
                self._scoring.add(dataloader_idx, predicted)

    def on_validation_epoch_end(self) -> None:
        """Store the scores of this validation, and start new ones."""
        self._ranks.add_up(self._scoring.totals())
        with self._step_said():
            (first, scores), *further = self._scoring.taken().items()
        self.validations.append(
            Validation(
                step=self.global_step,
                quantity=first,
                domains=scores.domains,
                scored=scores.scored,
                further=dict(further),
            )
        )

    @contextmanager
    def _step_said(self) -> Iterator[None]:
        """Add the step to the error of a validation that is not finite."""
        try:
            yield
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} at step {self.global_step}") from None

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """Return the mean loss of the batch's scored predictions, in nats, as `loss`.

        Where other losses are minimised, too, they are in `loss`, and each is beside it without its
        weight. Where several processes read a batch, return this one's part of it; these add up.
        """
        self.zero_grad()
        sequences = len(tokens_of(batch))
        seeds, share = self._dropout_seeds(sequences), self._ranks.share(sequences)
        precision, objective = self.config.precision, self._objective
        loss = accumulated_loss(self.model, batch, precision, self.micro_batch, seeds, share, objective)
        return {"loss": loss, **objective.taken()}

    def backward(self, loss: Tensor, *_: Any, **__: Any) -> None:
        """Add the gradients of the last micro-batch to those of the others."""
        torch.autograd.backward(self._objective.scaled(loss))

    def optimizer_zero_grad(self, *_: Any, **__: Any) -> None:
        """Do nothing: Lightning would take the gradients of the first micro-batches away."""

    def _dropout_seeds(self, sequences: int) -> Tensor | None:
        """Return a seed for the dropout of each sequence of this step; None where none drops."""
        if not self._drops:
            return None
        drawn = np.random.SeedSequence((self._dropout_seed, self.global_step)).generate_state(sequences, np.uint64)
        return torch.from_numpy((drawn >> 1).astype(np.int64)).to(self.device, non_blocking=True)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradients, as every training step does; keep their norm and the step's rate."""
        if self.loss_scale:
            self.loss_scale.unscale(optimizer)
        self.gradient_norm = clip(self.parameters(), self.config)
        self.learning_rate = float(optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """Return the optimizer of all parameters, and the schedule that sets its rates."""
        optimizer = optimizer_of(self.model, self.config)
        if average := self.average:
            average.model.to(self.device)
            optimizer.register_step_post_hook(lambda *_: average.add(self.model, self.global_step + 1))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, self.config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class ScaledSteps(Precision):
    """Has Lightning make the steps of a run in fp16 by its loss scale, which may skip one."""

    def optimizer_step(self, optimizer: Any, model: Any, closure: Callable[[], Any], **_: Any) -> Any:  # type: ignore[override]  # as all of Lightning's do
        """Make the gradients and clip them, then the step."""
        result = self._wrap_closure(model, optimizer, closure)
        model.loss_scale.step(optimizer, model.gradient_norm)
        return result


def rate_factor(step: int, config: TrainingConfig) -> float:
    """Return the learning rate of step `step` (from 0) over its peak.

    It rises linearly over the warm-up, then follows `training.schedule`.
    """
    warmup, steps = config.warmup_steps, config.steps
    if step < warmup:
        return (step + 1) / warmup
    factor = config.schedule.factor(step, steps=steps, warmup=warmup)
    if not 0 <= factor <= 1:
        raise ComponentError(f"schedule '{config.schedule.name}' returned {factor} at step {step}, allowed: 0 to 1")
    return factor
