"""Differential attention (Ye et al. 2024, 2410.05258): the difference of two softmax maps."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.attention.base import Attention, AttentionConfig, visible_keys
from components.initialise import Draw, default_stream
from components.norms.base import lambda_init
from components.norms.rms import RMSNorm
from components.registry import ComponentError, register


@register("attention", "differential")
class Differential(AttentionConfig):
    """The difference of two softmax maps, half as many heads of twice the value width (2410.05258)."""

    exempt: ClassVar[dict[str, str]] = {"identity": "lambda starts above zero and the output is always normalised"}

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return DifferentialAttention(width=width, heads=heads, layer=layer, dropout=self.dropout)


class DifferentialAttention(Attention):
    """A = softmax(first half) - lambda softmax(second half); RMSNorm over 2d, times (1 - lambda_init)."""

    lambda_vectors = ("lambda_query_1", "lambda_key_1", "lambda_query_2", "lambda_key_2")

    def __init__(self, *, width: int, heads: int, layer: int, dropout: float) -> None:
        super().__init__(width=width, heads=heads, dropout=dropout)
        if heads % 2:
            raise ComponentError(f"heads: got {heads}, allowed: an even number (differential pairs them)")
        head_width = width // heads
        self.lambda_init = lambda_init(layer)
        for name in self.lambda_vectors:
            self.register_parameter(name, nn.Parameter(torch.empty(head_width)))
        self.norm = RMSNorm(2 * head_width)
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """N(0, 0.1) for the four lambda vectors, as in section 2.1 of the paper."""
        for name in self.lambda_vectors:
            nn.init.normal_(self.get_parameter(name), std=0.1, generator=draw(name))

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        tokens, head_width = query_BMTd.shape[-2:]
        visible_QK = visible_keys(tokens, query_BMTd.device)
        scores_BMQK = query_BMTd @ key_BMTd.transpose(-1, -2) * head_width**-0.5
        weights_BMQK = scores_BMQK.masked_fill(~visible_QK, float("-inf")).softmax(-1)
        first_BMQK, second_BMQK = weights_BMQK[:, 0::2], weights_BMQK[:, 1::2]
        weights_BMQK = first_BMQK - self.difference_weight() * second_BMQK
        weights_BMQK = F.dropout(weights_BMQK, self.dropout, self.training)
        wide_value_BMTd = torch.cat((value_BMTd[:, 0::2], value_BMTd[:, 1::2]), dim=-1)
        y_BMTd: Tensor = self.norm(weights_BMQK @ wide_value_BMTd) * (1.0 - self.lambda_init)
        return y_BMTd

    def difference_weight(self) -> Tensor:
        """lambda = exp(lq1 . lk1) - exp(lq2 . lk2) + lambda_init(l)."""
        query_1, key_1, query_2, key_2 = (self.get_parameter(name) for name in self.lambda_vectors)
        return (query_1 @ key_1).exp() - (query_2 @ key_2).exp() + self.lambda_init
