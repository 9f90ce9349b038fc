"""Define one training step: loss, gradients, clipping, the optimizer's step.

Lightning calls its parts; measurements call `TrainingStep`.
"""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from components.attention import set_dropout_seeds
from components.optimizers import weights_of
from mta_lab.config import Precision, RunConfig, TrainingConfig
from mta_lab.model import Decoder
from mta_lab.training.loss import Batch, mean_loss, part_of, scored_predictions, tokens_of
from mta_lab.training.objective import Objective
from mta_lab.training.scaling import LossScale


class TrainingStep:
    """Training steps outside a run, at the peak learning rate; they compute what a run computes."""

    def __init__(self, model: Decoder, training: TrainingConfig) -> None:
        self._model, self._training = model, training
        self._parameters = list(model.parameters())
        self._scale = LossScale(self._parameters[0].device) if training.precision == "fp16" else None
        self._optimizer, self._objective = optimizer_of(model, training), Objective(training, self._scale)

    def __call__(self, batch: Batch, precision: Precision | None = None) -> None:
        """Change the model's weights by one step, in `precision` (by default the training's)."""
        precision = precision or self._training.precision
        size, objective = self._training.sequences_a_pass, self._objective
        loss = accumulated_loss(self._model, batch, precision, size, objective=objective)
        torch.autograd.backward(objective.scaled(loss))
        objective.taken()
        if self._scale:
            self._scale.unscale(self._optimizer)
        norm = clip(self._parameters, self._training)
        if self._scale:
            self._scale.step(self._optimizer, norm)
        else:
            self._optimizer.step()
        self._optimizer.zero_grad()


def accumulated_loss(
    model: Decoder,
    batch: Batch,
    precision: Precision,
    micro_batch: int,
    seeds: Tensor | None = None,
    share: range | None = None,
    objective: Objective | None = None,
) -> Tensor:
    """Return the mean loss of a batch, read `micro_batch` sequences at a time.

    The gradients of all micro-batches but the last are added to the parameters' already; those of
    the last follow from the loss. Together they are the gradients of the mean over the batch.
    `seeds` [B] int64 are those of the dropout of each sequence.

    With a `share` of the sequences, only these are read: return their part of the batch's mean.
    With an `objective` that weighs other losses, too, these are added.
    """
    share = share or range(len(tokens_of(batch)))
    divisor, total = scored_predictions(batch), torch.zeros(())
    for start in share[::micro_batch]:
        if total.requires_grad:
            torch.autograd.backward(objective.scaled(total) if objective else total)
        total = total.detach()
        rows = slice(start, min(start + micro_batch, share.stop))
        if seeds is not None:
            set_dropout_seeds(model, seeds[rows])
        part = part_of(batch, rows)
        if objective and objective.weights:
            weight = len(tokens_of(part)) / len(tokens_of(batch))
            total = objective.loss(model, part, precision, divisor, weight) + total
        else:
            total = (objective.mean_loss if objective else mean_loss)(model, part, precision, divisor) + total
    return total


def clip(parameters: Iterable[nn.Parameter], training: TrainingConfig) -> Tensor:
    """Scale all gradients by one factor, so that their norm is at most `training.gradient_clip`.

    Return the norm that they had before, a scalar, on their device.
    """
    return nn.utils.clip_grad_norm_(parameters, training.gradient_clip)


def optimizer_of(model: Decoder, training: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimizer of a model's weights, at the peak learning rate."""
    weights = weights_of(
        model,
        rate=training.learning_rate,
        decay=training.weight_decay,
        no_decay=training.no_decay,
        factors=model.rates(),
    )
    return training.optimizer.build(weights, training.adam)


def random_step(model: Decoder, config: RunConfig, where: torch.device) -> Callable[..., None]:
    """Return a call of one training step on random tokens, of the model, which moves to `where`.

    The call takes the precision, by default the training's.
    """
    return partial(TrainingStep(model.to(where), config.training), random_tokens(config).to(where))


def random_tokens(config: RunConfig) -> Tensor:
    """Return a batch of random tokens [batch, context + 1], the same each time.

    Its sizes are those of `config`; measurements of time then need no text.
    """
    shape = (config.training.batch_size, config.context + 1)
    return torch.randint(config.model.vocabulary, shape, generator=torch.Generator().manual_seed(0))
