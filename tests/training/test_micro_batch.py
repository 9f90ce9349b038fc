"""Micro-batches and recomputed blocks change the memory of a step, not its loss or gradients."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from components.attention import set_dropout_seeds
from components.feed_forward import hidden_width
from components.registry import FAMILIES
from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.model import build_model, layers_with_maps
from mta_lab.training import sizes
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.result import InterruptedRunError, Progress, TrainingResult
from mta_lab.training.run import train
from mta_lab.training.sizes import micro_batch_of, step_memory
from mta_lab.training.step import accumulated_loss, random_tokens
from tests.training import test_synthetic
from tests.training.conftest import Configure

SHORT = {"training.steps": 6, "training.warmup_steps": 2, "training.validations": 2, "training.batch_size": 4}
WHOLE = {"training.micro_batch": 4}
CHANGED = [{"training.micro_batch": 1}, {"training.micro_batch": 2}, {"training.recompute": "blocks"}]
VARIANTS = FAMILIES["attention"].names()


def curve(result: TrainingResult) -> torch.Tensor:
    """Return all losses and scores of a run."""
    scores = [score for one in result.validations for score in one.domains.values()]
    return torch.tensor([loss for _, loss in result.losses] + scores, dtype=torch.float64)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "changed", [{"training.micro_batch": 1}, {"training.micro_batch": 2}, {"training.recompute": "blocks"}]
)
def test_gradients_are_those_of_the_whole_batch(
    configure: Configure, variant: str, changed: dict[str, object], device: torch.device
) -> None:
    found = []
    for settings in (WHOLE, WHOLE | changed):
        config = configure({**SHORT, **settings, "attention": {"name": variant, "dropout": 0.1}})
        model, tokens = build_model(config, seed=0).to(device).train(), random_tokens(config).to(device)
        seeds = torch.tensor([5, 6, 7, 8], device=device)
        loss = accumulated_loss(model, tokens, "fp32", config.training.sequences_a_pass, seeds)
        loss.backward()
        found.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
        set_dropout_seeds(model, None)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "changed", [{"training.micro_batch": 1}, {"training.micro_batch": 2}, {"training.recompute": "blocks"}]
)
@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("task", ["language", "find_block"])
def test_runs_are_equal_whatever_the_micro_batch(
    configure: Configure, corpus: Corpus, task: str, changed: dict[str, object]
) -> None:
    make, text = (configure, corpus) if task == "language" else (test_synthetic.configure, None)
    settings = {**SHORT, **WHOLE, "attention.dropout": 0.1}
    whole, parts = (train(make({**settings, **more}), text) for more in ({}, changed))
    torch.testing.assert_close(curve(whole), curve(parts), rtol=1e-6, atol=1e-6)
    assert whole.micro_batches == (4,)
    assert parts.micro_batches == (changed.get("training.micro_batch", 4),)


def test_blocks_are_computed_anew_with_the_dropout_of_their_own_forward(configure: Configure) -> None:
    """Two forward passes under different seeds, and one backward pass through both."""
    found = []
    for recompute in ("none", "blocks"):
        config = configure({**SHORT, "training.recompute": recompute, "attention.dropout": 0.5})
        model, tokens = build_model(config, seed=0).train(), random_tokens(config)[:, :-1]
        losses = []
        for seed in (5, 6):
            set_dropout_seeds(model, torch.full((len(tokens),), seed))
            losses.append(model(tokens).square().mean())
        sum(losses).backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_they_are_no_part_of_the_identity(configure: Configure) -> None:
    prints = {
        fingerprint(configure({**SHORT, **settings}), "")
        for settings in (
            {},
            {"training.micro_batch": 2},
            {"training.recompute": "blocks"},
            {"training.deterministic": True},
        )
    }
    assert len(prints) == 1


@pytest.mark.parametrize("size", [3, 0, -1, 8])
def test_a_micro_batch_that_does_not_divide_is_refused(configure: Configure, size: int) -> None:
    with pytest.raises(
        UserError, match=rf"training.micro_batch: got {size}, allowed: .* batch_size \(4\): \[1, 2, 4\]"
    ):
        configure({**SHORT, "training.micro_batch": size})


def test_auto_reads_what_the_memory_holds(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(SHORT)
    monkeypatch.setattr(sizes, "LITTLE", 0)
    totals = {n: step_memory(config, n).total for n in (1, 2, 4)}
    assert totals[1] < totals[2] < totals[4]
    for free, expected in ((totals[4] * 2, 4), (totals[4] * 2 - 2, 2), (totals[2] * 2 - 2, 1), (0, 1)):
        assert micro_batch_of(config, free) == expected
    monkeypatch.undo()
    assert micro_batch_of(config, 0) == 4  # a step that needs little does not depend on what is free


@pytest.mark.parametrize("impl", ["eager", "streaming"])
def test_the_estimated_activations_are_those_that_are_saved(configure: Configure, impl: str) -> None:
    settings = {"model.width": 128, "model.context": 256, "attention": {"name": "multi_token", "impl": impl}}
    config = configure({**SHORT, **settings})
    model, seen = build_model(config, seed=0), {}
    own = {parameter.data_ptr() for parameter in model.parameters()}

    def saved(tensor: torch.Tensor) -> torch.Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
        model.features(random_tokens(config)[:, :-1])
    found = sum(tensor.untyped_storage().nbytes() for place, tensor in seen.items() if place not in own)
    assert found == pytest.approx(step_memory(config, 4).activations, rel=0.3)


@pytest.mark.parametrize(
    ("attention", "layers"),
    [
        ({"name": "softmax", "impl": "eager"}, 4),
        ({"name": "softmax"}, 0),
        ({"name": "multi_token", "impl": "streaming"}, 0),
        ({"name": "multi_token", "pre_softmax": ["head_mixing"], "impl": "fused"}, 0),  # also where it cannot be loaded
    ],
)
def test_maps_are_counted_where_the_implementation_stores_them(
    configure: Configure, attention: dict[str, object], layers: int
) -> None:
    config = configure({**SHORT, "attention": attention})
    assert layers_with_maps(config) == layers
    model, tokens = config.model, 4 * config.context
    rows = tokens * (10 * model.width + 3 * hidden_width(model.width, model.feed_forward_multiple))
    maps = sizes.MAPS * model.heads * tokens * config.context
    assert step_memory(config, 4).activations == 4 * (rows * model.layers + maps * layers)


def kept(configure: Configure, corpus: Corpus, checkpoints: Checkpoints, **settings: object) -> None:
    """Train a run up to its third step."""
    reports: list[Progress] = []
    with pytest.raises(InterruptedRunError):
        train(
            configure({**SHORT, "training.micro_batch": 2, **settings}), corpus,
            lambda progress: reports.append(progress) or False, checkpoints=checkpoints,
            interrupted=lambda: len(reports) >= 3,
        )  # fmt: skip


def test_a_resumed_run_keeps_its_micro_batch(configure: Configure, corpus: Corpus, tmp_path: Path) -> None:
    config = configure({**SHORT, "training.micro_batch": 2})
    checkpoints = Checkpoints(tmp_path / fingerprint(config, ""))
    kept(configure, corpus, checkpoints)
    auto = replace(config, training=replace(config.training, micro_batch="auto"))
    resumed, whole = train(auto, corpus, checkpoints=checkpoints), train(config, corpus)
    assert resumed.micro_batches == (2,)
    assert torch.equal(curve(resumed), curve(whole))


def test_a_run_resumed_on_another_kind_of_machine_says_so(
    configure: Configure, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure({**SHORT, "training.micro_batch": 2})
    checkpoints = Checkpoints(tmp_path / fingerprint(config, ""))
    here = own.kind()
    monkeypatch.setattr(own, "kind", lambda: "an older GPU")
    kept(configure, corpus, checkpoints)
    monkeypatch.undo()
    said: list[str] = []
    resumed = train(config, corpus, checkpoints=checkpoints, say=said.append)
    assert f"it goes on on {here}, where it was kept on an older GPU: each step equal to about 1e-6" in said[-1]
    assert resumed.machines == ("an older GPU", here)


def test_a_run_resumed_with_another_says_so(configure: Configure, corpus: Corpus, tmp_path: Path) -> None:
    config = configure({**SHORT, "training.micro_batch": 2})
    checkpoints = Checkpoints(tmp_path / fingerprint(config, ""))
    kept(configure, corpus, checkpoints)
    other = replace(config, training=replace(config.training, micro_batch=1))
    said: list[str] = []
    resumed = train(other, corpus, checkpoints=checkpoints, say=said.append)
    change = "got 1, where the run was kept with 2 sequences at a time: each step equal to about 1e-6 in fp32"
    assert any(change in line for line in said)
    assert resumed.micro_batches == (2, 1)
    torch.testing.assert_close(curve(resumed), curve(train(config, corpus)), rtol=1e-6, atol=1e-6)
