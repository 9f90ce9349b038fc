"""Statements of 2504.00927: mixing and projections (appendix B), joint and separate (section 3.3).

Appendix B: mixing heads in pairs is plain attention with projections of twice the rank.

Shapes: M heads, T tokens, D model width, d head width; G groups of heads, O, I the heads of a group
that a matrix or kernel writes and reads; A, B query and key offsets.
"""

import pytest
import torch
from torch import Tensor, nn

from components.attention import MultiToken
from components.norms import NoNorm
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOpConfig

HEADS, GROUP, HEAD_WIDTH, TOKENS = 4, 2, 5, 7
WIDTH = HEADS * HEAD_WIDTH


def mixing_layer(*, pre: tuple[ScoreOpConfig, ...] = (), post: tuple[ScoreOpConfig, ...] = ()) -> nn.Module:
    """A layer of two pairs of heads in float64, what its operations learn random."""
    torch.manual_seed(3)
    config = MultiToken(pre_softmax=pre, post_softmax=post, norm=NoNorm())
    module = config.build(width=WIDTH, heads=HEADS, layer=1, layers=1).double()
    for name, parameter in module.named_parameters():
        if "_softmax" in name:
            nn.init.normal_(parameter)
    return module


def group_of(head: int) -> range:
    """The heads that a head is mixed with."""
    first = head // GROUP * GROUP
    return range(first, first + GROUP)


def heads_of(module: nn.Module, name: str, x_TD: Tensor) -> list[Tensor]:
    """The heads' queries, keys or values [T, d]."""
    return list((x_TD @ module.get_parameter(f"{name}.weight").T).chunk(HEADS, dim=-1))


def causal_weights(query_Te: Tensor, key_Te: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) of one head, where Q and K may be wider than d."""
    scores_TT = query_Te @ key_Te.T / HEAD_WIDTH**0.5
    later_TT = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
    return torch.softmax(scores_TT.masked_fill(later_TT, float("-inf")), dim=-1)


def test_mixing_weights_doubles_the_rank_of_values_and_outputs() -> None:
    """In each pair, sum_m (sum_n w[m, n] A_n) V_m O_m = sum_n A_n [w[0, n] V_0, w[1, n] V_1] O.

    O is [O_0; O_1].
    """
    module, x_TD = mixing_layer(post=(HeadMixing(group=2),)), torch.randn(TOKENS, WIDTH, dtype=torch.float64)
    matrix_MM = torch.block_diag(*module.get_parameter("post_softmax.0.matrix"))
    queries, keys, values = (heads_of(module, name, x_TD) for name in ("query", "key", "value"))
    outputs = module.get_parameter("output.weight").T.split(HEAD_WIDTH)
    expected_TD = torch.zeros_like(x_TD)
    for n in range(HEADS):
        wide_value = torch.cat([matrix_MM[m, n] * values[m] for m in group_of(n)], dim=-1)
        wide_output = torch.cat([outputs[m] for m in group_of(n)])
        assert torch.linalg.matrix_rank(wide_output) == 2 * HEAD_WIDTH
        expected_TD = expected_TD + causal_weights(queries[n], keys[n]) @ wide_value @ wide_output
    torch.testing.assert_close(module(x_TD[None])[0], expected_TD, rtol=0, atol=1e-10)


def test_mixing_logits_doubles_the_rank_of_queries_and_keys() -> None:
    """sum_n w[m, n] Q_n K_n^T = [w[m, 0] Q_0, w[m, 1] Q_1] [K_0, K_1]^T, in each pair."""
    module, x_TD = mixing_layer(pre=(HeadMixing(group=2),)), torch.randn(TOKENS, WIDTH, dtype=torch.float64)
    matrix_MM = torch.block_diag(*module.get_parameter("pre_softmax.0.matrix"))
    queries, keys, values = (heads_of(module, name, x_TD) for name in ("query", "key", "value"))
    outputs = []
    for m in range(HEADS):
        wide_query = torch.cat([matrix_MM[m, n] * queries[n] for n in group_of(m)], dim=-1)
        wide_key = torch.cat([keys[n] for n in group_of(m)], dim=-1)
        outputs.append(causal_weights(wide_query, wide_key) @ values[m])
    expected_TD = torch.cat(outputs, dim=-1) @ module.get_parameter("output.weight").T
    torch.testing.assert_close(module(x_TD[None])[0], expected_TD, rtol=0, atol=1e-10)


@pytest.mark.parametrize("place", ["pre", "post"])
def test_a_convolution_then_a_mixing_is_a_joint_kernel_of_their_products(place: str) -> None:
    """theta[o, n, a, b] = w[o, n] theta_n[a, b]."""
    apart = (KeyQuery(layers="all", kernel=(3, 4)), HeadMixing(group=2))
    together = (Joint(layers="all", kernel=(3, 4), group=2),)
    separate, joint = (mixing_layer(**{place: ops}) for ops in (apart, together))  # of the same projections
    kernel_GIAB = separate.get_parameter(f"{place}_softmax.0.kernel").unflatten(0, (-1, GROUP))
    matrix_GOI = separate.get_parameter(f"{place}_softmax.1.matrix")
    with torch.no_grad():
        joint.get_parameter(f"{place}_softmax.0.kernel").copy_(torch.einsum("goi,giab->goiab", matrix_GOI, kernel_GIAB))
    x_BTD = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(joint(x_BTD), separate(x_BTD), rtol=0, atol=1e-10)
