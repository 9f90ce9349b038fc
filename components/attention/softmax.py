"""Plain causal softmax attention: the baseline (Vaswani et al. 2017, 1706.03762)."""

import torch
from torch import Tensor, nn

from components.attention.base import Attention, AttentionConfig
from components.kernels import sdpa
from components.kernels.choice import SDPA, Choice
from components.registry import register


@register("attention", "softmax")
class Softmax(AttentionConfig):
    """Plain causal softmax attention: the Transformer baseline (1706.03762)."""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return SoftmaxAttention(width=width, heads=heads, dropout=self.dropout)


class SoftmaxAttention(Attention):
    """softmax(Q K^T / sqrt(d)) V through torch's fused kernel."""

    def implementation(self, device: torch.device, dtype: torch.dtype) -> Choice:
        return SDPA

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return sdpa.attend(query_BMTd, key_BMTd, value_BMTd, dropout=dropout)
