"""Compute a model's predictions and their loss, in the precision of a run.

Which predictions are scored is known on the CPU, so that a GPU is never waited for to count them.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

import torch
from torch import Tensor

from components.evaluations import Predicted
from components.kernels.substitute import calls_only
from mta_lab.config import Precision
from mta_lab.model import Decoder, in_precision

Answers = tuple[Tensor, Tensor]
"""tokens [B, T + 1], and True for each of their T targets that is scored: [B, T], on the CPU"""
Batch = Tensor | Answers
"""tokens [B, T + 1] whose targets are all scored, or the answers of a synthetic task"""


def predict(model: Decoder, batch: Batch, precision: Precision) -> Predicted:
    """Return the model's predictions for a batch; logits are float32 in every precision."""
    tokens, scored = (batch, None) if isinstance(batch, Tensor) else batch
    # Lightning's own precision plugin cannot clip gradients for the fused optimizer.
    with in_precision(precision, tokens.device):
        logits: Tensor = model(tokens[:, :-1])
    if scored is not None:
        scored = scored.to(tokens.device, non_blocking=True)
    return Predicted(logits.float(), tokens[:, 1:], scored, model.compiled)


def tokens_of(batch: Batch) -> Tensor:
    """Return the tokens of a batch: [B, T + 1]."""
    return batch if isinstance(batch, Tensor) else batch[0]


def pinned(batch: Batch) -> Batch:
    """Return the batch with its tokens in memory that a GPU copies without the CPU's help."""
    if isinstance(batch, Tensor):
        return batch.pin_memory()
    tokens, scored = batch
    return tokens.pin_memory(), scored


def on_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with its tokens on `device`, which copies them when it comes to it."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    tokens, scored = batch
    return tokens.to(device, non_blocking=True), scored


def part_of(batch: Batch, sequences: slice) -> Batch:
    """Return some sequences of a batch."""
    return batch[sequences] if isinstance(batch, Tensor) else (batch[0][sequences], batch[1][sequences])


def scored_predictions(batch: Batch) -> int:
    """Return how many predictions of a batch are scored."""
    if isinstance(batch, Tensor):
        return len(batch) * (batch.shape[1] - 1)
    return int(batch[1].sum())


def mean_loss(model: Decoder, batch: Batch, precision: Precision, divisor: int | None = None) -> Tensor:
    """Return the mean loss of the scored predictions, in nats.

    With a `divisor`, return their sum over it: a micro-batch is divided by what its whole batch
    scores.
    """
    divisor = divisor or scored_predictions(batch)
    # Hooks of the model, or code in its place, see its logits. Those of a sharded model are around
    # its `loss`, too, which is then an attribute of its own.
    if not calls_only(model, Decoder) and "loss" not in vars(model):
        return predict(model, batch, precision).losses().sum() / divisor
    tokens, scored = (batch, None) if isinstance(batch, Tensor) else batch
    if scored is not None:
        scored = scored.flatten().nonzero().squeeze(1).to(tokens.device, non_blocking=True)
    with in_precision(precision, tokens.device):
        return model.loss(tokens[:, :-1], tokens[:, 1:], scored, divisor)
