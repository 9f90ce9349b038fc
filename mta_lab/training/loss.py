"""The losses of a model's predictions, in the precision of a run.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T; S scored targets of all B x T.
"""

import torch
from torch import Tensor

from components.kernels.pointwise import cross_entropy
from mta_lab.config import Precision
from mta_lab.model import Decoder


def predictions(model: Decoder, tokens: Tensor, precision: Precision) -> Tensor:
    """The logits [B, T, V] of the next tokens, float32 in either precision."""
    # Autocast here and not by Lightning's precision, which cannot clip gradients for the fused optimizer.
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits: Tensor = model(tokens[:, :-1])
    return logits.float()


def token_losses(model: Decoder, tokens: Tensor, precision: Precision) -> Tensor:
    """The loss of each of B x T predictions, in nats, float32 in either precision."""
    logits_NV = predictions(model, tokens, precision).flatten(0, 1)
    return cross_entropy(logits_NV, tokens[:, 1:].flatten(), compiled=model.compiled)


def answer_losses(logits_BTV: Tensor, tokens: Tensor, scored_BT: Tensor, *, compiled: bool = True) -> Tensor:
    """The loss of each of the S scored predictions, in nats."""
    return cross_entropy(logits_BTV[scored_BT], tokens[:, 1:][scored_BT], compiled=compiled)
