"""Count the floating-point operations of a training step, on the model as it runs.

Counted are matrix products and attention, forward and backward; a multiplication and an addition
are two operations. The count is that of the implementation: fused and sdpa leave out the keys that
no query sees, eager does not.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mta_lab.config import Precision
from mta_lab.model import Decoder
from mta_lab.training.loss import mean_loss


def flops_per_token(model: Decoder, tokens: Tensor, precision: Precision) -> float:
    """Return the operations of a forward and backward pass over `tokens` [B, T + 1], over B T.

    The model computes as in evaluation, without dropout; its gradients are cleared.
    """
    training = model.training
    model.eval()
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        mean_loss(model, tokens, precision).backward()  # type: ignore[no-untyped-call]
    model.zero_grad()
    model.train(training)
    total: int = counter.get_total_flops()
    return total / tokens[:, 1:].numel()


def _forward(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Return the operations of logits and output, for the visible half of the map."""
    return 2 * _places(query) * (query[-1] + value[-1])


def _backward(
    gradient: Sequence[int], query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    """Return the operations of the logits again, and of all gradients.

    Those are the gradients of queries, keys, values and attention weights.
    """
    return 2 * _places(query) * (3 * query[-1] + 2 * value[-1])


def _places(query: Sequence[int]) -> int:
    batch, heads, tokens, _ = query
    return batch * heads * tokens * (tokens + 1) // 2


ATTENTION: dict[Any, Any] = {  # torch counts attention on GPUs alone, and there the whole map
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
    torch.ops.aten._scaled_dot_product_flash_attention: _forward,
    torch.ops.aten._scaled_dot_product_flash_attention_backward: _backward,
    torch.ops.aten._scaled_dot_product_efficient_attention: _forward,
    torch.ops.aten._scaled_dot_product_efficient_attention_backward: _backward,
    torch.ops.aten._scaled_dot_product_cudnn_attention: _forward,
    torch.ops.aten._scaled_dot_product_cudnn_attention_backward: _backward,
}
