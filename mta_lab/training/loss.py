"""The loss of next-token prediction, in the precision of a run.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mta_lab.config import Precision
from mta_lab.model import Decoder


def token_losses(model: Decoder, tokens: Tensor, precision: Precision) -> Tensor:
    """The loss of each of B x T predictions, in nats, float32 in either precision."""
    # Autocast here and not by Lightning's precision, which cannot clip gradients for the fused optimizer.
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none")
