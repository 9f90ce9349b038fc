"""Models of all positions: paired, told apart, resumed, cached, exported, refused in one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from components import FAMILIES, ComponentError
from components.attention import Attention, Softmax
from mta_lab.config import RunConfig, fingerprint, flatten, plain
from mta_lab.config.placed import placed
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.huggingface.settings import llama_settings
from mta_lab.model import build_model, count_parameters, implementations
from mta_lab.training.sizes import step_memory
from tests.config.helpers import config, layered
from tests.training.conftest import Configure
from tests.training.test_resume import run, same

POSITIONS = FAMILIES["positions"].names()
SIZES = (
    "model.width=32",
    "model.layers=2",
    "model.vocabulary=260",
    "model.context=16",
    "model.feed_forward_multiple=16",
)
OPERATIONS: dict[str, Any] = {
    "name": "multi_token",
    "pre_softmax": [{"name": "key_query", "layers": "all"}],
    "post_softmax": [{"name": "key_query", "layers": "all"}, "head_mixing"],
}
MULTI_TOKEN = layered({"attention": OPERATIONS}).attention
ALWAYS = ("alibi", "learned")  # with code of their own; the others differ by a table
EACH = [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in POSITIONS]


def of(name: str, *settings: str) -> RunConfig:
    return config(*SIZES, f"model.positions={name}", *settings)


def one_layer(name: str) -> RunConfig:
    return layered({"model": {"layers": 1, "positions": name}})


def test_every_choice_is_another_run_and_rotary_is_what_it_was() -> None:
    found = {name: fingerprint(config(f"model.positions={name}"), "") for name in POSITIONS}
    assert found["rotary"] == fingerprint(config(), "") == "aa71e30ff3542ca5"
    assert len({*found.values()}) == len(POSITIONS)
    assert "positions" not in plain(config())["model"]


def test_the_base_of_rotary_positions_has_two_names_and_one_fingerprint() -> None:
    names = ("model.rope_theta=5e5", "model.positions.theta=5e5", "model.positions={name: rotary, theta: 5e5}")
    assert {fingerprint(config(name), "") for name in names} == {"89c60d3221477e8a"}
    assert flatten(config(names[1]))["model.rope_theta"] == 5e5
    assert config(names[0]).model.rope_theta == 5e5
    assert config("model.positions=alibi").model.rope_theta is None


def test_the_base_stays_where_other_rotary_positions_are_named_and_goes_with_them() -> None:
    base: dict[str, Any] = {"model.rope_theta": 5e5}
    assert layered(base, {"model.positions": "rotary_yarn"}).model.rope_theta == 5e5
    assert layered({"model.positions": "rotary_yarn"}, base) == layered(base, {"model.positions": "rotary_yarn"})
    assert layered(base, {"model.positions": "alibi"}) == layered({"model.positions": "alibi"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ("model.positions=alibi", "model.rope_theta=5e5"),
            r"model.positions.theta: got 500000.0 beside the positions 'alibi', which turn by no angles; allowed: none",
        ),
        (("model.rope_theta=1", "model.positions.theta=2"), r"model.rope_theta: is set twice, as positions.theta"),
        (("model.positions=alibbi",), r"model.positions: no positions named 'alibbi' \(did you mean 'alibi'\?\)"),
        (("model.rope_theta=0",), r"model.positions.theta: got 0.0, allowed: more than 0"),
        (
            ("model.positions=alibi", "attention.impl=sdpa"),
            r"attention: impl: got 'sdpa', but LinearBias acts on the map; can run: auto, streaming, eager",
        ),
    ],
)
def test_a_mistake_is_said_in_one_line(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        config(*settings)


class Alone(Attention):
    """A variant that computes attention itself."""

    def attend(self, query_BMTd: torch.Tensor, key_BMTd: torch.Tensor, value_BMTd: torch.Tensor) -> torch.Tensor:
        return value_BMTd


def test_attention_that_computes_its_own_logits_refuses_a_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    model = of("alibi").model
    monkeypatch.setattr(Softmax, "build", lambda self, *, width, heads, **_: Alone(width=width, heads=heads))
    with pytest.raises(
        ComponentError, match="positions: got LinearBias, a bias on logits, but Alone computes attention"
    ):
        placed(Softmax(), model, 1)


@pytest.mark.parametrize("name", POSITIONS)
def test_shared_weights_start_equal_and_are_counted_without_memory(name: str) -> None:
    rotary, model = build_model(of("rotary"), 3).state_dict(), build_model(of(name), 3)
    state = model.state_dict()
    assert all(torch.equal(weight, state[key]) for key, weight in rotary.items())
    assert state.keys() - rotary.keys() == ({"positions.weight"} if name == "learned" else set())
    assert count_parameters(of(name)) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("padding", [(), (3, 0)])
def test_generation_with_a_cache_gives_the_logits_of_the_whole(name: str, padding: tuple[int, ...]) -> None:
    model = build_model(replace(of(name), attention=MULTI_TOKEN), 0).double().eval()
    tokens_BT = torch.randint(260, (2, 10), generator=torch.Generator().manual_seed(0))
    cache = model.new_cache(padding)
    assert not cache.uncached
    parts = [model(tokens_BT[:, start:stop], cache) for start, stop in ((0, 4), (4, 5), (5, 10))]
    found_BTV = torch.cat(parts, dim=1)
    for row, pad in enumerate(padding or (0, 0)):
        expected_TV = model(tokens_BT[row : row + 1, pad:])[0]
        torch.testing.assert_close(found_BTV[row, pad:], expected_TV, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["rotary", "alibi", "learned"])
def test_only_a_model_with_positions_can_tell_the_order(name: str) -> None:
    """Without them, the first layer's last token reads a set."""
    for chosen, differs in ((name, True), ("none", False)):
        model = build_model(one_layer(chosen), 0)
        straight, turned = (model(torch.tensor([order]))[0, -1] for order in ([1, 2, 3, 4], [3, 2, 1, 4]))
        assert torch.allclose(straight, turned, atol=1e-5) != differs


def test_what_computes_alibi_is_said_with_its_reason() -> None:
    model = build_model(of("alibi"), 0)
    model(torch.arange(8)[None])
    (name,) = implementations(model)
    assert name == "streaming"
    assert "LinearBias has no fused form" in implementations(model)[name]


def test_memory_counts_the_table_of_learned_positions() -> None:
    table = 4 * 16 * 32
    learned, rotary = (step_memory(of(name), 1) for name in ("learned", "rotary"))
    assert (learned.weights - rotary.weights, learned.optimizer - rotary.optimizer) == (table, 2 * table)


@pytest.mark.parametrize("name", EACH)
def test_a_run_goes_on_to_the_bit(configure: Configure, corpus: Corpus, tmp_path: Path, name: str) -> None:
    lengths = {"training.steps": 8, "training.validations": 2, "model.layers": 1}
    planned = configure({**lengths, "model.positions": name, "attention": {**OPERATIONS, "dropout": 0.1}})
    whole = run(planned, corpus, tmp_path / "whole")
    same(run(planned, corpus, tmp_path / "parts", (3,)), whole)
    assert whole.result.losses[-1][1] < whole.result.losses[0][1]


def test_an_export_carries_the_angles_and_refuses_other_positions() -> None:
    scaled = llama_settings(of("rotary_yarn", "model.positions.factor=4"))["rope_parameters"]
    assert scaled["rope_type"] == "yarn"
    assert (scaled["factor"], scaled["original_max_position_embeddings"]) == (4.0, 4)
    larger = llama_settings(of("rotary_ntk"))["rope_parameters"]
    assert larger == {"rope_type": "default", "rope_theta": pytest.approx(1e5 * 2 ** (8 / 6))}
    for name in ("none", "alibi", "learned"):
        with pytest.raises(UserError, match=rf"model.positions: '{name}' is not in the model of an export, whose"):
            llama_settings(of(name))


def test_the_settings_of_a_model_can_be_replaced() -> None:
    other = replace(of("rotary"), model=of("alibi").model)
    assert other.model.positions.name == "alibi"
