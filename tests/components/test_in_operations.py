"""An attention written as operations and a norm is the same attention."""

import pytest
import torch

from components import FAMILIES
from components.attention import AttentionConfig

VARIANTS = [cls() for cls in FAMILIES["attention"].registered() if cls.__module__.startswith("components.")]


@pytest.mark.parametrize("attention", VARIANTS, ids=lambda one: one.name)
def test_the_form_in_operations_computes_the_same(attention: AttentionConfig) -> None:
    """It has the same parameters, and from them the same outputs to the bit."""
    first, second = (
        config.build(width=16, heads=4, layer=4, layers=4).double() for config in (attention, attention.in_operations())
    )
    second.load_state_dict(first.state_dict())
    x_BTD = torch.randn(2, 9, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first(x_BTD), second(x_BTD))
    assert attention.in_operations().in_operations() == attention.in_operations()


def test_plain_attention_and_talking_heads_are_lists_of_operations() -> None:
    named = {one.name: one.in_operations().name for one in VARIANTS}
    assert named["softmax"] == named["talking_heads"] == named["multi_token"]
