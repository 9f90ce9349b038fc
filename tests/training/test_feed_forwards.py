"""Runs of every feed-forward: resumed to the bit, paired, told apart, counted and cached."""

from pathlib import Path
from typing import Any

import pytest
import torch

from components.registry import FAMILIES
from mta_lab.config import RunConfig, fingerprint, plain
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.huggingface.settings import llama_settings
from mta_lab.model import build_model, count_parameters, count_used_parameters
from mta_lab.training.sizes import step_memory
from tests.config.helpers import config
from tests.training.conftest import Configure
from tests.training.test_resume import run, same

NAMES = FAMILIES["feed_forward"].names()
SIZES = ("model.width=16", "model.heads=2", "model.vocabulary=300", "model.context=12")
ALWAYS = "mixture"  # the one that sends tokens apart and has a loss of its own
EACH = [pytest.param(name, marks=() if name == ALWAYS else pytest.mark.slow) for name in NAMES]


def small(name: str, *settings: str) -> RunConfig:
    """Return a run of four layers."""
    return config(*SIZES, "model.feed_forward_multiple=16", f"model.feed_forward={name}", *settings)


@pytest.mark.parametrize("name", EACH)
def test_a_run_goes_on_to_the_bit_and_its_loss_falls(
    configure: Configure, corpus: Corpus, tmp_path: Path, name: str
) -> None:
    """In parts of a batch, and interrupted before a step and inside a validation."""
    settings: dict[str, Any] = {"training.steps": 12, "training.validations": 2, "training.micro_batch": 2}
    if name == "mixture":
        settings["training.auxiliary"] = {"load_balance": 0.01}
    planned = configure({"model.layers": 2, "model.feed_forward": name, **settings})
    whole = run(planned, corpus, tmp_path / "whole")
    same(run(planned, corpus, tmp_path / "parts", (3, 5)), whole)
    assert whole.result.losses[-1][1] < whole.result.losses[0][1]


@pytest.mark.parametrize("name", NAMES)
def test_what_it_shares_with_the_default_starts_equal(name: str) -> None:
    first, other = (build_model(small(one), seed=3).state_dict() for one in ("swiglu", name))
    shared = {key for key in first if ".feed_forward." not in key}
    assert shared == {key for key in other if ".feed_forward." not in key}
    alike = {key for key in first if key in other and first[key].shape == other[key].shape}
    assert all(torch.equal(first[key], other[key]) for key in shared | alike)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_read_with_a_cache_are_those_of_the_whole(name: str) -> None:
    model = build_model(small(name, "attention=multi_token"), seed=0).double().eval()
    tokens_BT = torch.randint(300, (2, 9), generator=torch.Generator().manual_seed(0))
    cache = model.new_cache()
    parts = [model(part, cache) for part in tokens_BT.split([4, 1, 3, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens_BT).detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_memory_of_a_step_holds_what_the_backward_pass_keeps(name: str) -> None:
    """Counted on the tensors that a block's feed-forward saves."""
    run, kept = small(name), set[tuple[int, int]]()
    block = build_model(run, seed=0).blocks[0].feed_forward
    weights = {parameter.data_ptr() for parameter in block.parameters()}

    def pack(saved: torch.Tensor) -> torch.Tensor:
        if saved.data_ptr() not in weights:
            kept.add((saved.data_ptr(), saved.numel()))
        return saved

    tokens = 8
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        block(torch.randn(1, tokens, 16, requires_grad=True))
    counted = step_memory(run, 1).activations / 4 / run.context / run.model.layers - 10 * 16
    assert sum(numel for _, numel in kept) / tokens <= counted + 2 * 16  # its input, counted with the block's rows


def test_every_choice_is_another_run_and_none_of_before_is_stale() -> None:
    texts = [*NAMES, "{name: swiglu, size: 2}", "{name: mixture, experts: 6}"]
    found = {text: fingerprint(config(f"model.feed_forward={text}"), "") for text in texts}
    assert found["swiglu"] == fingerprint(config(), "")
    assert len({*found.values()}) == len(texts)
    assert "feed_forward" not in plain(config())["model"]


def test_a_mixture_has_more_weights_for_the_same_work() -> None:
    dense, sparse = (
        sum(parameter.numel() for parameter in build_model(small(name), seed=0).blocks[0].feed_forward.parameters())
        for name in ("swiglu", "mixture")
    )
    assert sparse == 2 * dense + 4 * 16  # and the router's
    router = 4 * 16 * 4
    assert count_used_parameters(small("mixture")) - count_used_parameters(small("swiglu")) == router // 2
    assert count_parameters(small("mixture")) - count_parameters(small("swiglu")) == 4 * (sparse - dense)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "swiglu"])
def test_an_export_refuses_what_a_llama_does_not_have(name: str) -> None:
    with pytest.raises(UserError, match=rf"model.feed_forward: '{name}' is not in the model of an export"):
        llama_settings(small(name))
    assert llama_settings(small("{name: swiglu, size: 2}"))["intermediate_size"] == 32
