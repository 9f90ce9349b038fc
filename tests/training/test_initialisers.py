"""Models of all initialisers: paired, told apart, trained as their equations say, refused."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from components import FAMILIES
from components.feed_forward import SWIGLU, FeedForwardConfig
from components.initialise import initialise
from mta_lab.config import RunConfig, fingerprint, plain
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.huggingface.settings import llama_settings
from mta_lab.model import Decoder, build_model, count_parameters
from mta_lab.testing import loops
from mta_lab.training.step import TrainingStep, optimizer_of
from tests.config.helpers import config, registry_restored
from tests.training.conftest import Configure
from tests.training.test_resume import run, same

NAMES = FAMILIES["initialisers"].names()
SIZES = {"width": 16, "heads": 2, "vocabulary": 300, "context": 12, "feed_forward_multiple": 8}
MUP = "{name: mup, base_width: 8}"
EACH = [MUP, *(name for name in NAMES if name not in ("mup", "fan_in"))]
"""those that start other than the default"""


def of(initialiser: str, *settings: str, **sizes: int) -> RunConfig:
    model = (f"model.{name}={size}" for name, size in {**SIZES, **sizes}.items())
    return config(*model, f"model.initialiser={initialiser}", *settings)


def test_the_default_is_the_rule_of_every_version_to_the_bit() -> None:
    run = of("fan_in", "attention=multi_token")
    model, bare = build_model(run, seed=3), Decoder(run.model, run.attention)
    initialise(bare, seed=3)
    assert all(torch.equal(weight, bare.state_dict()[name]) for name, weight in model.state_dict().items())
    assert {*model.rates().values()} == {1.0}
    assert model.output_scale == model.blocks[0].attention.query_scale == 1.0


@pytest.mark.parametrize("initialiser", EACH)
def test_weights_are_those_of_the_default_times_a_number(initialiser: str) -> None:
    """So rows are paired: one random draw, at another size; norms, gates and kernels are equal."""
    first, other = (build_model(of(one, "attention=multi_token"), seed=3) for one in ("fan_in", initialiser))
    drawn = other.drawn()
    for name, weight in other.state_dict().items():
        if name in drawn:
            times = weight / first.state_dict()[name]
            torch.testing.assert_close(times, times.mean().expand_as(times), rtol=1e-5, atol=0)
        else:
            assert torch.equal(weight, first.state_dict()[name]), name


@pytest.mark.parametrize("initialiser", EACH)
def test_what_two_rows_share_starts_equal(initialiser: str) -> None:
    rows = ("attention=softmax", "attention=multi_token", "model.feed_forward=gelu", "attention=differential")
    first, *others = (build_model(of(initialiser, row), seed=3).state_dict() for row in rows)
    for other in others:
        shared = [name for name in other if name in first and first[name].shape == other[name].shape]
        assert len(shared) > 20
        assert [name for name in shared if not torch.equal(first[name], other[name])] == []


def test_at_the_base_width_mup_is_the_default_to_the_bit() -> None:
    first, other = (build_model(of(one), seed=3) for one in ("fan_in", "{name: mup, base_width: 16}"))
    tokens = torch.arange(8)[None]
    assert torch.equal(first(tokens), other(tokens))
    groups = [optimizer_of(model, of("fan_in").training).param_groups for model in (first, other)]
    assert [(group["lr"], group["weight_decay"]) for group in groups[0]] == [
        (group["lr"], group["weight_decay"]) for group in groups[1]
    ]


def by_hand(run: RunConfig, model: Decoder, tokens_BT: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and the gradients of the loss, from the loops over the paper's equations.

    As muP has them: logits of attention over d, from d^0.5 at a base of half the width, and
    logits of the vocabulary over the growth, 2.
    """
    scaled = copy.deepcopy(model)
    for name, parameter in scaled.named_parameters():
        parameter.data *= 0.5**0.5 if name.endswith("query.weight") else 1.0
    theta = run.model.rope_theta
    assert theta
    logits_BTV = loops.decoder(run.attention, scaled, tokens_BT[:, :-1], heads=2, theta=theta) / 2
    loss = F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())
    names = [name for name, _ in scaled.named_parameters()]
    gradients = torch.autograd.grad(loss, [*scaled.parameters()])
    found = dict(zip(names, gradients, strict=True))
    return logits_BTV, {name: one * (0.5**0.5 if "query.w" in name else 1.0) for name, one in found.items()}


def test_a_model_under_mup_computes_and_learns_as_its_equations_say() -> None:
    """Three steps of AdamW written out, in float64: Table 8's rates, one decay of all weights."""
    kernels = "{name: multi_token, pre_softmax: [{name: key_query, layers: all}], post_softmax: [], norm: none}"
    run = of(MUP, f"attention={kernels}", "training.weight_decay=0.1", layers=2)
    model = build_model(run, seed=0).double()
    optimizer, rate, training = optimizer_of(model, run.training), run.training.learning_rate, run.training
    expected = copy.deepcopy(model)
    means, squares = ({name: torch.zeros_like(w) for name, w in expected.named_parameters()} for _ in range(2))
    tokens_BT = torch.randint(300, (2, 7), generator=torch.Generator().manual_seed(0))
    for step in range(1, 4):
        logits_BTV, gradients = by_hand(run, expected, tokens_BT)
        torch.testing.assert_close(model(tokens_BT[:, :-1]), logits_BTV, rtol=0, atol=1e-6)
        targets = tokens_BT[:, 1:].flatten()
        loss = F.cross_entropy(model(tokens_BT[:, :-1]).flatten(0, 1), targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for name, weight in expected.named_parameters():
            gradient = model.get_parameter(name).grad
            torch.testing.assert_close(gradient, gradients[name], rtol=0, atol=1e-6)  # angles are float32
            hidden = ".attention." in name or ".feed_forward." in name
            own = rate / 2 if hidden and name.endswith(".weight") else rate  # hidden weights: over the growth
            means[name] = training.beta1 * means[name] + (1 - training.beta1) * gradient
            squares[name] = training.beta2 * squares[name] + (1 - training.beta2) * gradient**2
            mean, square = means[name] / (1 - training.beta1**step), squares[name] / (1 - training.beta2**step)
            weight.data -= own * mean / (square.sqrt() + training.epsilon) + rate * 0.1 * weight.data
        optimizer.step()
        for name, weight in expected.named_parameters():
            torch.testing.assert_close(model.get_parameter(name), weight, rtol=0, atol=1e-12, msg=name)


def moved(initialiser: str, width: int, steps: int = 4) -> dict[str, float]:
    """Return how far training moves what is computed of fixed tokens, the mean over numbers."""
    settings = ("training.learning_rate=0.02", "training.batch_size=4")
    run = of(initialiser, *settings, width=width, heads=4, layers=2, context=16)
    model, seen = build_model(run, seed=0), dict[str, Tensor]()
    for name in ("blocks.0.attention", "blocks.0.feed_forward", "blocks.0", "blocks.1"):
        model.get_submodule(name).register_forward_hook(lambda *all, name=name: seen.update({name: all[2].detach()}))
    batch = torch.randint(300, (4, 17), generator=torch.Generator().manual_seed(0))
    before, train = {"logits": model(batch[:, :-1]).detach(), **seen}, TrainingStep(model, run.training)
    for _ in range(steps):
        train(batch)
    after = {"logits": model(batch[:, :-1]).detach(), **seen}
    return {name: float((after[name] - before[name]).abs().mean()) for name in before}


def test_training_moves_activations_alike_at_every_width_under_mup_alone() -> None:
    """The coordinate check of Tensor Programs V, appendix D.1, at 1 to 8 times the base's width."""
    growths = {}
    for initialiser in ("fan_in", "{name: mup, base_width: 32}"):
        narrow, *wider = (moved(initialiser, width) for width in (32, 128, 256))
        growths[initialiser] = [{name: one[name] / narrow[name] for name in narrow} for one in wider]
    usual, mup = growths.values()
    assert all(0.5 < growth < 1.5 for at in mup for growth in at.values()), mup
    assert usual[-1].pop("logits") > 1.4  # the norm before them holds them back
    assert min(usual[-1].values()) > 4, usual
    assert all(usual[-1][name] > usual[0][name] for name in usual[-1])


@pytest.mark.parametrize("initialiser", EACH)
def test_tokens_read_with_a_cache_are_those_of_the_whole(initialiser: str) -> None:
    model = build_model(of(initialiser, "attention=multi_token"), seed=0).double().eval()
    tokens_BT = torch.randint(300, (2, 9), generator=torch.Generator().manual_seed(0))
    cache = model.new_cache()
    parts = [model(part, cache) for part in tokens_BT.split([4, 1, 3, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens_BT).detach(), rtol=0, atol=1e-12)


def test_a_run_goes_on_to_the_bit_and_its_loss_falls(configure: Configure, corpus: Corpus, tmp_path: Path) -> None:
    lengths = {"training.steps": 12, "training.validations": 2, "model.layers": 2}
    planned = configure({"model.initialiser": {"name": "mup", "base_width": 8}, **lengths})
    whole = run(planned, corpus, tmp_path / "whole")
    same(run(planned, corpus, tmp_path / "parts", (3, 5)), whole)
    assert whole.result.losses[-1][1] < whole.result.losses[0][1]


def test_every_choice_is_another_run_and_none_of_before_is_stale() -> None:
    texts = [*NAMES, MUP, "{name: mup, base_heads: 2}", "{name: depth_scaled, normal: 0.02}"]
    found = {text: fingerprint(config(f"model.initialiser={text}"), "") for text in texts}
    assert found["fan_in"] == fingerprint(config(), "")
    assert len({*found.values()}) == len(texts)
    assert "initialiser" not in plain(config())["model"]
    assert len({count_parameters(config(f"model.initialiser={text}")) for text in texts}) == 1


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adafactor"])
def test_rates_are_refused_for_optimizers_that_they_do_not_hold_for(optimizer: str) -> None:
    said = f"got 'mup', whose learning rates do not hold for training.optimizer={optimizer}; allowed beside it: adamw, "
    with pytest.raises(UserError, match=f"model: initialiser: {said}lion"):
        of(MUP, f"training.optimizer={optimizer}")
    of("depth_scaled", f"training.optimizer={optimizer}")


@pytest.mark.parametrize(
    ("base", "attention", "sizes", "said"),
    [
        ("base_width: 10", "softmax", {"heads": 4}, "heads: got 4, allowed for width 10"),
        ("base_heads: 1", "differential", {}, "heads: got 1, allowed: an even number"),
        ("base_heads: 1", "softmax", {"heads": 4, "kv_heads": 2}, "kv_heads: 2 of 4 heads have no whole number among"),
    ],
)
def test_a_base_that_can_be_no_model_is_refused(base: str, attention: str, sizes: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=f"model: initialiser: {said}"):
        of(f"{{name: mup, {base}}}", f"attention={attention}", **sizes)


def test_a_component_that_does_not_say_what_it_writes_to_the_stream_is_refused() -> None:
    with registry_restored():
        from components import register

        @register("feed_forward", "silent")
        class Silent(FeedForwardConfig):
            """A feed-forward that is one layer on the third of them."""

            def build(self, *, width: int, multiple: int, layer: int, layers: int) -> torch.nn.Module:
                sizes = {"width": width, "multiple": multiple, "layer": layer, "layers": layers}
                return torch.nn.Linear(width, width) if layer == 3 else SWIGLU.build(**sizes)

        with pytest.raises(UserError) as caught:
            of("depth_scaled", "model.feed_forward=silent")
        said = "but the feed_forward of layer 3 does not say which of its layers write to the residual stream"
        assert f"model: initialiser: got 'depth_scaled', {said}; give its module writes_re" in str(caught.value)
        build_model(of(MUP, "model.feed_forward=silent"), seed=0)  # which does not ask


def test_an_export_takes_other_starts_and_refuses_other_factors() -> None:
    assert llama_settings(of("depth_scaled")) == llama_settings(of("fan_in"))
    with pytest.raises(UserError, match=r"model.initialiser: 'mup' multiplies queries by 0.707 and logits by 0.5, as"):
        llama_settings(of(MUP))
