"""Key-value heads that neighbouring heads share: the layer of as many heads with equal weights."""

import pytest
import torch

from components import ComponentError
from components.attention import Attention, AttentionConfig, Differential, MultiToken, Softmax, rotary_table, share_keys
from components.initialise import initialise
from mta_lab.config import plain
from mta_lab.errors import UserError
from mta_lab.model import count_parameters
from tests.config.helpers import config

HEADS, WIDTH, HEAD_WIDTH = 8, 32, 4


def layer_of(attention: AttentionConfig, kv_heads: int | None) -> Attention:
    layer = attention.build(width=WIDTH, heads=HEADS, layer=3, layers=4)
    assert isinstance(layer, Attention)
    if kv_heads is not None:
        share_keys(layer, kv_heads)
    initialise(layer, 0)
    return layer.double()


@pytest.mark.parametrize(
    ("attention", "sources"),
    [
        (Softmax(), [0, 0, 0, 0, 1, 1, 1, 1]),
        (MultiToken(), [0, 0, 0, 0, 1, 1, 1, 1]),
        (Differential(), [0, 1, 0, 1, 0, 1, 0, 1]),  # both maps of a pair keep keys of their own
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_heads_that_share_keys_read_what_heads_with_equal_keys_read(
    attention: AttentionConfig, sources: list[int]
) -> None:
    sharing, full = layer_of(attention, 2), layer_of(attention, None)
    with torch.no_grad():
        for name in ("key", "value"):
            heads = sharing.get_submodule(name).weight.unflatten(0, (2, HEAD_WIDTH))  # type: ignore[operator]
            full.get_submodule(name).weight.copy_(heads[sources].flatten(0, 1))  # type: ignore[operator]
    x_BTD = torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(1)).double()
    rotary = rotary_table(9, HEAD_WIDTH, theta=100.0).double()
    torch.testing.assert_close(sharing(x_BTD, rotary), full(x_BTD, rotary), rtol=0, atol=1e-12)


def test_shared_keys_have_fewer_parameters_and_another_identity() -> None:
    own, sharing = config("model.heads=4"), config("model.heads=4", "model.kv_heads=2")
    assert "kv_heads" not in plain(own)["model"]
    assert plain(sharing)["model"]["kv_heads"] == 2
    assert count_parameters(own) - count_parameters(sharing) == own.model.layers * own.model.width**2


def test_numbers_of_key_value_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"kv_heads: got 3, allowed for 4 heads: \[1, 2, 4\]"):
        config("model.heads=4", "model.kv_heads=3")
    with pytest.raises(UserError, match=r"attention: kv_heads: got 1, allowed for 4 heads: \[2, 4\]"):
        config("model.heads=4", "model.kv_heads=1", "attention=differential")
    with pytest.raises(ComponentError, match="kv_heads: got 2, but Linear makes keys and values itself"):
        share_keys(torch.nn.Linear(4, 4), 2)
