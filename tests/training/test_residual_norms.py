"""Runs of all residual norms: resumed to the bit, paired, told apart, counted and exported."""

from pathlib import Path
from typing import Any

import pytest
import torch

from components.registry import FAMILIES
from mta_lab.config import RunConfig, fingerprint, plain
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.huggingface.settings import llama_settings
from mta_lab.model import build_model, count_parameters
from mta_lab.training.sizes import step_memory
from tests.config.helpers import config
from tests.training.conftest import Configure
from tests.training.test_resume import run, same

NAMES = FAMILIES["residual_norms"].names()
TEXTS = [f"{{name: {name}, norm: {norm}}}" for name in NAMES for norm in ("rms", "layer")]
USUAL = "{name: pre, norm: rms}"
ALWAYS = "{name: sandwich, norm: layer}"  # the one that differs most
EACH = [pytest.param(text, marks=() if text == ALWAYS else pytest.mark.slow) for text in TEXTS]
SIZES = ("model.width=16", "model.heads=2", "model.vocabulary=300", "model.context=12")


def small(norms: str, *settings: str) -> RunConfig:
    """Return a run of four layers."""
    return config(*SIZES, "model.feed_forward_multiple=16", f"model.residual_norms={norms}", *settings)


@pytest.mark.parametrize("norms", EACH)
def test_a_run_goes_on_to_the_bit_and_its_loss_falls(
    configure: Configure, corpus: Corpus, tmp_path: Path, norms: str
) -> None:
    """In parts of a batch, and interrupted before a step and inside a validation."""
    settings: dict[str, Any] = {"training.steps": 12, "training.validations": 2, "training.micro_batch": 2}
    chosen = plain(small(norms).model.residual_norms)
    planned = configure({"model.layers": 2, "model.residual_norms": chosen, **settings})
    whole = run(planned, corpus, tmp_path / "whole")
    same(run(planned, corpus, tmp_path / "parts", (3, 5)), whole)
    assert whole.result.losses[-1][1] < whole.result.losses[0][1]


@pytest.mark.parametrize("norms", TEXTS)
def test_all_that_is_no_norm_starts_equal(norms: str) -> None:
    first, other = (build_model(small(one), seed=3).state_dict() for one in ("pre", norms))
    drawn = {key for key in first if "norm" not in key}
    assert drawn == {key for key in other if "norm" not in key}
    assert all(torch.equal(first[key], other[key]) for key in drawn)


def test_every_choice_is_another_run_and_none_of_before_is_stale() -> None:
    found = {text: fingerprint(config(f"model.residual_norms={text}"), "") for text in TEXTS}
    assert found[USUAL] == fingerprint(config(), "")
    assert len({*found.values()}) == len(TEXTS)
    assert "residual_norms" not in plain(config())["model"]


def test_parameters_are_those_of_the_norms() -> None:
    counts = {text: count_parameters(small(text)) for text in TEXTS}
    assert {text: count - counts[USUAL] for text, count in counts.items()} == {
        USUAL: 0,
        "{name: pre, norm: layer}": 9 * 16,
        "{name: post, norm: rms}": -16,
        "{name: post, norm: layer}": 8 * 16 - 16,
        "{name: sandwich, norm: rms}": 8 * 16,
        "{name: sandwich, norm: layer}": 17 * 2 * 16 - 9 * 16,
    }


@pytest.mark.parametrize(
    ("norms", "qk_norm"), [*((text, "false") for text in TEXTS), (USUAL, "true")], ids=[*TEXTS, "qk_norm"]
)
def test_the_memory_of_a_step_holds_what_the_backward_pass_keeps(norms: str, qk_norm: str) -> None:
    """Counted on the tensors that a block saves, but for the few numbers beside a row."""
    run, kept = small(norms, "attention.impl=sdpa", f"model.qk_norm={qk_norm}"), dict[int, int]()
    block = build_model(run, seed=0).blocks[0]
    weights = {parameter.data_ptr() for parameter in block.parameters()}

    def pack(saved: torch.Tensor) -> torch.Tensor:
        if saved.data_ptr() not in weights and saved.numel() >= 16 * 8:
            kept[saved.data_ptr()] = max(saved.numel(), kept.get(saved.data_ptr(), 0))
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        block(torch.randn(1, 8, 16, requires_grad=True), None)
    counted = step_memory(run, 1).activations / 4 / run.context / run.model.layers
    assert sum(kept.values()) / 8 <= counted


@pytest.mark.parametrize("norms", [text for text in TEXTS if text != USUAL])
def test_an_export_refuses_what_a_llama_does_not_have(norms: str) -> None:
    with pytest.raises(UserError, match=rf"model.residual_norms: {norms} is not in the model of an export"):
        llama_settings(small(norms))


def test_layer_norm_scaling_of_the_block_scales_the_norms_before_its_sublayers() -> None:
    """Twice the input of the first sublayer, in layer 4, where 1 / sqrt(4) is undone."""
    scaled = "attention={name: multi_token, norm: layer_norm_block}"
    for norms in ("{name: pre, norm: layer}", "sandwich"):
        ours, usual = (
            build_model(small(norms, attention), seed=0).blocks[3].get_submodule("attention_norm")
            for attention in (scaled, "attention=multi_token")
        )
        x_BTD = torch.randn(2, 5, 16)
        before = [norm.get_submodule("before") if norms == "sandwich" else norm for norm in (ours, usual)]
        torch.testing.assert_close(2 * before[0](x_BTD), before[1](x_BTD))
