"""Appendix B of arXiv 2504.00927: mixing heads in pairs is plain attention with projections of twice the rank.

Shapes: M heads, T tokens, D model width, d head width; O, I the heads that a mixing matrix writes and reads.
"""

import torch
from torch import Tensor, nn

from components.attention import MultiToken
from components.norms import NoNorm
from components.score_ops import HeadMixing, ScoreOpConfig

HEADS, HEAD_WIDTH, TOKENS = 2, 5, 7
WIDTH = HEADS * HEAD_WIDTH


def mixing_layer(*, pre: tuple[ScoreOpConfig, ...] = (), post: tuple[ScoreOpConfig, ...] = ()) -> nn.Module:
    """A layer of one pair of heads in float64, its mixing matrix random."""
    torch.manual_seed(3)
    config = MultiToken(pre_softmax=pre, post_softmax=post, norm=NoNorm())
    module = config.build(width=WIDTH, heads=HEADS, layer=1, layers=1).double()
    nn.init.normal_(module.get_parameter(f"{'pre' if pre else 'post'}_softmax.0.matrix"))
    return module


def heads_of(module: nn.Module, name: str, x_TD: Tensor) -> list[Tensor]:
    """The heads' queries, keys or values [T, d]."""
    return list((x_TD @ module.get_parameter(f"{name}.weight").T).chunk(HEADS, dim=-1))


def causal_weights(query_Te: Tensor, key_Te: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) of one head, where Q and K may be wider than d."""
    scores_TT = query_Te @ key_Te.T / HEAD_WIDTH**0.5
    later_TT = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
    return torch.softmax(scores_TT.masked_fill(later_TT, float("-inf")), dim=-1)


def test_mixing_weights_doubles_the_rank_of_values_and_outputs() -> None:
    """sum_m (sum_n w[m, n] A_n) V_m O_m = sum_n A_n [w[0, n] V_0, w[1, n] V_1] [O_0; O_1]."""
    module, x_TD = mixing_layer(post=(HeadMixing(group=2),)), torch.randn(TOKENS, WIDTH, dtype=torch.float64)
    (matrix_OI,) = module.get_parameter("post_softmax.0.matrix")
    queries, keys, values = (heads_of(module, name, x_TD) for name in ("query", "key", "value"))
    expected_TD = torch.zeros_like(x_TD)
    for n in range(HEADS):
        wide_value = torch.cat([matrix_OI[m, n] * values[m] for m in range(HEADS)], dim=-1)
        expected_TD = expected_TD + causal_weights(queries[n], keys[n]) @ wide_value
    expected_TD = expected_TD @ module.get_parameter("output.weight").T
    torch.testing.assert_close(module(x_TD[None])[0], expected_TD, rtol=0, atol=1e-10)


def test_mixing_logits_doubles_the_rank_of_queries_and_keys() -> None:
    """sum_n w[m, n] Q_n K_n^T = [w[m, 0] Q_0, w[m, 1] Q_1] [K_0, K_1]^T."""
    module, x_TD = mixing_layer(pre=(HeadMixing(group=2),)), torch.randn(TOKENS, WIDTH, dtype=torch.float64)
    (matrix_OI,) = module.get_parameter("pre_softmax.0.matrix")
    queries, keys, values = (heads_of(module, name, x_TD) for name in ("query", "key", "value"))
    outputs = []
    for m in range(HEADS):
        wide_query = torch.cat([matrix_OI[m, n] * queries[n] for n in range(HEADS)], dim=-1)
        outputs.append(causal_weights(wide_query, torch.cat(keys, dim=-1)) @ values[m])
    expected_TD = torch.cat(outputs, dim=-1) @ module.get_parameter("output.weight").T
    torch.testing.assert_close(module(x_TD[None])[0], expected_TD, rtol=0, atol=1e-10)
