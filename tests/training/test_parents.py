"""At insertion, a stage's model computes the logits of its parent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mta_lab.config import RunConfig, started_from
from mta_lab.errors import UserError
from mta_lab.model import Decoder, build_model
from mta_lab.training import tensors
from mta_lab.training.parents import take_weights
from tests.config.helpers import layered

KQ, MIX = "key_query", "head_mixing"
WIDE = {"name": "key_query", "layers": "all", "kernel": [3, 5]}
MTA = {"name": "multi_token", "norm": "none"}
INSERTED: dict[str, tuple[Any, Any]] = {
    "into a Transformer": ("softmax", MTA),
    "with exact masking": ("softmax", {**MTA, "pre_softmax": [MIX, {"name": KQ, "layers": "all", "mask": "exact"}]}),
    "all in one": ("softmax", {**MTA, "pre_softmax": [{"name": "joint", "layers": "all"}], "post_softmax": []}),
    "into Talking Heads": ("talking_heads", MTA),
    "around what is there": (
        {**MTA, "pre_softmax": [WIDE], "post_softmax": [MIX, WIDE]},
        {**MTA, "pre_softmax": [MIX, WIDE, MIX], "post_softmax": [KQ, MIX, MIX, WIDE, KQ]},
    ),
    "to further layers, below a gate": (
        {**MTA, "pre_softmax": [KQ], "post_softmax": [MIX], "norm": "gate"},
        {**MTA, "pre_softmax": [{"name": KQ, "layers": "all"}], "post_softmax": [MIX], "norm": "gate"},
    ),
    "nothing": ("differential", "differential"),
}


def with_attention(attention: Any, **settings: Any) -> RunConfig:
    sizes = {"width": 16, "heads": 4, "layers": 4, "vocabulary": 257, "context": 20, "feed_forward_multiple": 16}
    return layered({"model": sizes, "attention": attention}, settings)


def trained(model: Decoder) -> dict[str, Tensor]:
    """Return the weights after some imagined training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model.state_dict()


def logits(model: Decoder, weights: Mapping[str, Tensor]) -> Tensor:
    tokens_BT = torch.randint(64, (2, 20), generator=torch.Generator().manual_seed(2))
    model.load_state_dict(weights)
    with torch.no_grad():
        return model.double()(tokens_BT)


@pytest.mark.parametrize("case", INSERTED)
def test_logits_at_insertion_are_those_of_the_parent(case: str, tmp_path: Path) -> None:
    before, after = map(with_attention, INSERTED[case])
    parent, stage = build_model(before, 0), started_from(before, after)
    weights = trained(parent)
    tensors.write(tmp_path / "parent.pt", weights)
    grown = build_model(stage, 7)
    take_weights(tmp_path / "parent.pt", grown, stage)
    expected, found = logits(parent, weights), logits(grown, grown.state_dict())
    assert expected.abs().max() > 1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert (len(grown.state_dict()) > len(weights)) == (case != "nothing")


def test_what_the_parent_lacks_is_said(tmp_path: Path) -> None:
    before, after = with_attention("softmax"), with_attention(MTA)
    weights = dict(build_model(before, 0).state_dict())
    del weights["blocks.1.attention.key.weight"]
    tensors.write(tmp_path / "parent.pt", weights)
    stage = started_from(before, after)
    with pytest.raises(UserError, match=r"parent.pt: the run cannot start from these weights"):
        take_weights(tmp_path / "parent.pt", build_model(stage, 0), stage)


def test_a_run_from_a_checkpoint_starts_with_its_logits(tmp_path: Path) -> None:
    start = {"init": {"checkpoint": "llama"}, "data": {"tokens": "tokens"}, "model.kv_heads": 2}
    parent, run = build_model(with_attention("softmax", **start), 0), with_attention(MTA, **start)
    weights = trained(parent)
    tensors.write(tmp_path / "llama.pt", weights)
    grown = build_model(run, 7)
    take_weights(tmp_path / "llama.pt", grown, run)
    torch.testing.assert_close(logits(grown, grown.state_dict()), logits(parent, weights), rtol=0, atol=1e-12)


def test_a_damaged_file_of_a_checkpoint_is_said_with_what_makes_it_again(tmp_path: Path) -> None:
    run = with_attention(MTA, init={"checkpoint": "llama"}, data={"tokens": "tokens"})
    (tmp_path / "llama.pt").write_bytes(b"half")
    with pytest.raises(
        UserError, match=r"llama.pt: the run cannot start .*; delete the file, and it is made again of ll"
    ):
        take_weights(tmp_path / "llama.pt", build_model(run, 0), run)
