"""The course of a run: learning rate, validations, stopping, failing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.metrics import METRICS
from components.registry import FAMILIES, register
from mta_lab.data import Corpus
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.training import Progress
from mta_lab.training.callbacks import ProgressCallback, no_better_since
from mta_lab.training.module import DecoderModule, rate_factor
from mta_lab.training.result import Validation
from mta_lab.training.run import train
from tests.training.conftest import Configure
from tests.training.recorder import recording
from tests.training.test_resume import run, same


class Poisoned(Attention):
    """Attention whose output becomes NaN in the fourth training step, or in each validation."""

    def __init__(self, *, width: int, heads: int, when: str) -> None:
        super().__init__(width=width, heads=heads)
        self.when, self.steps = when, 0

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        self.steps += self.training
        bad = self.steps == 4 if self.when == "training" else not self.training
        return value_BMTd * (float("nan") if bad else 1.0)


@pytest.fixture(scope="module")
def poison() -> Iterator[str]:
    """The name of an attention variant that is registered as long as this module's tests run."""
    name = "poisoned_for_a_test"

    @register("attention", name)
    class PoisonedConfig(AttentionConfig):
        """Returns NaN at a given time."""

        when: str = "training"

        def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
            return Poisoned(width=width, heads=heads, when=self.when)

    yield name
    del FAMILIES["attention"]._variants[name]


def test_the_learning_rate_rises_and_falls_in_straight_lines(configure: Configure, corpus: Corpus) -> None:
    with recording() as seen:
        train(configure({"training.steps": 8, "training.warmup_steps": 4, "training.learning_rate": 0.01}), corpus)
    up, down = [0.0025, 0.005, 0.0075, 0.01], [0.01, 0.0075, 0.005, 0.0025]
    assert seen.rates == pytest.approx(up + down)


@pytest.mark.parametrize(("steps", "warmup"), [(8, 0), (250, 25), (10, 9), (1, 0)])
def test_the_rate_peaks_at_one_and_would_be_zero_after_the_last_step(
    configure: Configure, steps: int, warmup: int
) -> None:
    settings = {"training.steps": steps, "training.warmup_steps": warmup, "training.validations": 1}
    config = configure(settings).training
    factors = [rate_factor(step, config) for step in range(steps)]
    assert max(factors) == 1.0
    assert min(factors) > 0
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert rate_factor(steps, config) == 0.0


def test_a_constant_rate_stays_at_its_peak_after_warm_up(configure: Configure, corpus: Corpus) -> None:
    settings = {"training.steps": 8, "training.warmup_steps": 4, "training.learning_rate": 0.01}
    with recording() as seen:
        train(configure({**settings, "training.schedule": "constant"}), corpus)
    assert seen.rates == pytest.approx([0.0025, 0.005, 0.0075, *[0.01] * 5])


@pytest.mark.parametrize("validations", [1, 2, 4, 12])
def test_validations_are_spread_evenly_and_end_with_the_run(
    configure: Configure, corpus: Corpus, validations: int
) -> None:
    result = train(configure({"training.validations": validations}), corpus)
    every = 12 // validations
    assert [validation.step for validation in result.validations] == list(range(every, 13, every))


@pytest.mark.parametrize("validations", [5, 7])
def test_no_more_validations_than_asked_when_steps_do_not_divide(
    configure: Configure, corpus: Corpus, validations: int
) -> None:
    steps = [v.step for v in train(configure({"training.validations": validations}), corpus).validations]
    assert steps[-1] == 12
    assert validations - 1 <= len(steps) <= validations


def test_the_end_is_validated_once_when_steps_do_not_divide(configure: Configure, corpus: Corpus) -> None:
    heard: list[Progress] = []
    result = train(configure({"training.validations": 5}), corpus, lambda progress: bool(heard.append(progress)))
    assert [v.step for v in result.validations][-1] == 12
    assert len({v.step for v in result.validations}) == len(result.validations)
    assert [p.validation for p in heard if p.validation] == list(result.validations)


def test_a_report_that_returns_true_stops_the_run(configure: Configure, corpus: Corpus) -> None:
    with recording() as seen:
        result = train(configure(), corpus, lambda progress: progress.step >= 3)
    assert len(seen.batches) == 3
    assert result.losses[-1][0] == 3
    assert result.stopped_early


def test_each_report_has_the_rate_the_norm_of_the_gradients_and_the_speed(configure: Configure, corpus: Corpus) -> None:
    """The norm is that before clipping; the first rate of a warm-up of 2 steps is half the peak."""
    heard: list[Progress] = []
    norms: list[float] = []
    config = configure({"training.warmup_steps": 2, "training.gradient_clip": 1e-3})

    def norm(module: Any, optimizer: torch.optim.Optimizer, *rest: Any, **more: Any) -> None:
        gradients = [one.grad for one in module.parameters() if one.grad is not None]
        norms.append(sum(float(gradient.double().square().sum()) for gradient in gradients) ** 0.5)
        clip(module, optimizer, *rest, **more)

    clip = DecoderModule.configure_gradient_clipping
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DecoderModule, "configure_gradient_clipping", norm)
        train(config, corpus, lambda progress: bool(heard.append(progress)))
    reports = [progress for progress in heard if not progress.validation]
    assert [one.gradient_norm for one in reports] == pytest.approx(norms)
    assert min(norms) > 1e-2
    assert reports[0].learning_rate == pytest.approx(config.training.learning_rate / 2)
    assert reports[-1].learning_rate is not None
    assert 0 < reports[-1].learning_rate < config.training.learning_rate / 2
    assert all(one.tokens_per_second and one.tokens_per_second > 0 for one in reports)
    assert reports[0].points.keys() == {f"train/{name}" for name in reports[0].measures}


def test_a_run_can_be_stopped_by_its_validation(configure: Configure, corpus: Corpus) -> None:
    result = train(configure(), corpus, lambda progress: progress.validation is not None)
    assert [validation.step for validation in result.validations] == [6]
    assert result.losses[-1][0] == 6
    assert result.stopped_early


def test_a_run_ends_after_so_many_validations_without_a_better_score(
    configure: Configure, corpus: Corpus, tmp_path: Path
) -> None:
    """A rate so small that nothing moves: the second and third score equal the first."""
    still = {"training.learning_rate": 1e-20, "training.validations": 6, "training.stop_after": 2}
    whole = run(configure(still), corpus, tmp_path / "whole")
    assert [validation.step for validation in whole.result.validations] == [2, 4, 6]
    assert whole.result.losses[-1][0] == 6
    assert not whole.result.stopped_early
    same(run(configure(still), corpus, tmp_path / "parts", (22,)), whole)  # inside the third validation
    falling = {"training.learning_rate": 0.003, "training.validations": 3, "training.stop_after": 1}
    assert [one.step for one in train(configure(falling), corpus).validations] == [4, 8, 12]


@pytest.mark.parametrize(("scores", "since"), [([], 0), ([3.0], 0), ([3.0, 2.0, 2.0, 2.5], 2), ([1.0, 2.0], 1)])
def test_equal_scores_are_no_better(scores: list[float], since: int) -> None:
    validations = [Validation(step=1, quantity="perplexity", domains={"a": score}) for score in scores]
    assert no_better_since(validations, METRICS["perplexity"]) == since


def test_a_learning_rate_beyond_reason_fails_at_a_named_step(configure: Configure, corpus: Corpus) -> None:
    with pytest.raises(FloatingPointError, match=r"loss is nan at step [2-9]$"):
        train(configure({"training.learning_rate": 1e20}), corpus)


def test_a_component_that_returns_nan_fails_at_its_step(configure: Configure, corpus: Corpus, poison: str) -> None:
    heard: list[Progress] = []
    with pytest.raises(FloatingPointError, match=r"step 4$"):
        train(configure({"attention": poison}), corpus, lambda progress: bool(heard.append(progress)))
    assert [progress.step for progress in heard] == [1, 2, 3]


def test_a_validation_of_nan_fails_as_well(configure: Configure, corpus: Corpus, poison: str) -> None:
    with pytest.raises(FloatingPointError, match=r"step 6$"):
        train(configure({"attention": {"name": poison, "when": "validation"}}), corpus)


def test_a_validation_loss_beyond_floating_point_fails_with_the_step(configure: Configure, corpus: Corpus) -> None:
    settings = {"training.learning_rate": 100.0, "training.warmup_steps": 0, "training.validations": 12}
    with pytest.raises(FloatingPointError, match=r"step 1$"):
        train(configure(settings), corpus)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_tells_what_computed_its_attention(configure: Configure, corpus: Corpus, precision: str) -> None:
    """The recorded implementation is the one that is set, whatever a layer's operations."""
    op = {"name": "key_query", "kernel": [2, 3]}
    attention = {"name": "multi_token", "pre_softmax": [op], "post_softmax": [], "impl": "eager"}
    heard: list[Progress] = []
    config = configure({"attention": attention, "training.precision": precision})
    result = train(config, corpus, lambda progress: bool(heard.append(progress)))
    assert result.implementations == {"eager": "set by impl: eager"}
    assert {tuple(progress.implementations) for progress in heard} == {("eager",)}


@pytest.mark.skipif(own.on_gpu(), reason="the GPU here may have them")
@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_a_precision_that_the_device_does_not_have_is_refused(
    configure: Configure, corpus: Corpus, precision: str
) -> None:
    with pytest.raises(UserError, match=rf"training.precision: got '{precision}', which .*; allowed: fp32, bf16"):
        train(configure({"training.precision": precision}), corpus)


def test_on_a_device_that_works_by_itself_the_clock_runs_until_a_report_or_a_validation() -> None:
    """`meta` pretends one: torch computes nothing there, and none of its values can be read."""
    callback = ProgressCallback(lambda _: False, every=3)
    trainer = SimpleNamespace(global_step=1, max_steps=10)
    for _ in range(2):
        callback.on_train_batch_start(trainer, None, torch.zeros(()), 0)
        callback.on_train_batch_end(trainer, None, {"loss": torch.ones((), device="meta")}, torch.zeros(()), 0)
        assert callback.training_seconds == 0
    callback.on_validation_start(trainer, None)
    assert (spent := callback.training_seconds) > 0
    callback.on_validation_start(trainer, None)
    assert callback.training_seconds == spent


def test_a_steps_time_is_the_processors_and_the_median_of_all() -> None:
    """A step that waits, and one among many that computes for long, leave it as it is."""
    callback = ProgressCallback(lambda _: False, every=100)
    trainer = SimpleNamespace(global_step=1, max_steps=100)

    def step(work: Callable[[], object]) -> None:
        callback.on_train_batch_start(trainer, None, torch.zeros(()), 0)
        work()
        callback.on_train_batch_end(trainer, None, {"loss": torch.ones(())}, torch.zeros(()), 0)

    assert callback.step_seconds is None
    for _ in range(3):
        step(lambda: time.sleep(0.05))
    assert callback.training_seconds > 0.15
    assert callback.step_seconds < 0.04
    step(lambda: sum(range(3_000_000)))
    assert max(callback.step_times) > 10 * callback.step_seconds


def test_training_leaves_no_gradient_mode_or_hooks_behind(configure: Configure, corpus: Corpus) -> None:
    train(configure(), corpus)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
