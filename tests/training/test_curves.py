import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.model import Decoder, count_parameters
from mta_lab.training import Progress, Validation
from mta_lab.training.run import train
from tests.training.conftest import Configure
from tests.training.recorder import recording


def perplexity_by_hand(model: Decoder, corpus: Corpus, domain: str, config: RunConfig) -> float:
    """exp of the mean loss, token by token in float64, over the windows that fit into the limit."""
    ids = np.asarray(corpus.tokens(domain, "valid"))
    context = config.model.context
    windows = min(config.training.validation_tokens, len(ids) - 1) // context
    losses = []
    model.eval()
    for start in range(0, windows * context, context):
        window = torch.tensor(ids[start : start + context + 1].astype(np.int64))
        with torch.no_grad():
            logits = model(window[None, :-1].to(model.embedding.weight.device))[0]
        log_probabilities = F.log_softmax(logits.double(), dim=-1)
        losses += [-log_probabilities[t, window[t + 1]].item() for t in range(context)]
    return math.exp(sum(losses) / len(losses))


@pytest.mark.usefixtures("device")
def test_the_loss_falls(configure: Configure, corpus: Corpus) -> None:
    config = configure({"training.steps": 60, "attention": "multi_token"})
    result = train(config, corpus)
    assert [step for step, _ in result.losses] == list(range(1, 61))
    first, last = (np.mean([loss for _, loss in part]) for part in (result.losses[:5], result.losses[-5:]))
    assert first == pytest.approx(math.log(300), abs=0.8)  # knows nothing: about uniform over the vocabulary
    assert last < math.log(100)
    assert last < first - 1.0
    assert [validation.step for validation in result.validations] == [30, 60]
    assert result.validations[1].score < result.validations[0].score < 300
    assert not result.stopped_early
    assert result.parameters == count_parameters(config)
    assert 0 < result.tokens_per_second * result.seconds > 60 * 4 * 16 * 0.5


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("attention", ["softmax", "multi_token"])
def test_reported_perplexity_is_that_of_the_trained_model(configure: Configure, corpus: Corpus, attention: str) -> None:
    config = configure({"attention": {"name": attention, "dropout": 0.2}})
    with recording() as seen:
        result = train(config, corpus)
    assert seen.model is not None
    final = result.validations[-1]
    assert final.step == 12
    assert set(final.domains) == {"news", "tales"}
    for domain, reported in final.domains.items():
        assert reported == pytest.approx(perplexity_by_hand(seen.model, corpus, domain, config), rel=1e-5)
    assert final.score == pytest.approx(sum(final.domains.values()) / 2)


def test_a_run_scored_on_test_reads_no_token_that_one_scored_on_valid_reads(
    configure: Configure, corpus: Corpus
) -> None:
    """Windows of words drawn at random: none is twice in the text."""
    settings = {"training.steps": 1, "training.warmup_steps": 0, "training.validations": 1}
    read: dict[str, set[tuple[int, ...]]] = {}
    for split in ("valid", "test"):
        with recording() as seen:
            train(configure({**settings, "training.validation_tokens": 64, "data.evaluate": split}), corpus)
        read[split] = {tuple(window) for batch in seen.validated for window in batch.tolist()}
    assert len(read["valid"]) == len(read["test"]) == 2 * 64 // 16
    assert not read["valid"] & read["test"]
    held_out = [tuple(corpus.tokens(name, "valid").tolist()) for name in ("news", "tales")]
    windows = {text[start : start + 16] for text in held_out for start in range(len(text) - 15)}
    assert read["valid"] | read["test"] <= windows


def test_a_perplexity_is_the_plain_mean_over_domains_not_over_tokens() -> None:
    assert Validation(step=1, quantity="perplexity", domains={"large": 10.0, "small": 30.0}).score == 20.0


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("attention", ["softmax", "multi_token"])
def test_the_same_configuration_gives_the_same_curves_to_the_bit(
    configure: Configure, corpus: Corpus, attention: str
) -> None:
    config = configure({"attention": {"name": attention, "dropout": 0.2}, "training.deterministic": True})
    one = train(config, corpus)
    torch.rand(7)  # whatever else the process draws has no part in it
    other = train(config, corpus)
    assert one.losses == other.losses
    assert one.validations == other.validations


def test_loss_reports_are_means_over_every_step_since_the_last(
    configure: Configure, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure({"training.steps": 14})
    losses = dict(train(config, corpus).losses)
    assert list(losses) == list(range(1, 15))
    monkeypatch.setattr("mta_lab.training.run.REPORTS", 4)
    heard: list[Progress] = []
    result = train(config, corpus, lambda progress: bool(heard.append(progress)))
    assert [progress.step for progress in heard if progress.validation is None] == [3, 6, 9, 12, 14]
    assert [step for step, _ in result.losses] == [3, 6, 9, 12, 14]
    before = 0
    for step, mean in result.losses:
        assert mean == pytest.approx(np.mean([losses[k] for k in range(before + 1, step + 1)]), rel=1e-6)
        before = step


def test_a_long_run_reports_about_a_hundred_times(configure: Configure, corpus: Corpus) -> None:
    steps = [step for step, _ in train(configure({"training.steps": 201}), corpus).losses]
    assert steps == [*range(2, 201, 2), 201]


@pytest.mark.usefixtures("device")
def test_bf16_runs_close_to_fp32_and_keeps_float32_weights(configure: Configure, corpus: Corpus) -> None:
    exact = train(configure({"attention": "multi_token"}), corpus)
    with recording() as seen:
        rounded = train(configure({"attention": "multi_token", "training.precision": "bf16"}), corpus)
    assert seen.model is not None
    assert {parameter.dtype for parameter in seen.model.parameters()} == {torch.float32}
    assert rounded.losses != exact.losses  # the setting does something
    assert rounded.validations[-1].score == pytest.approx(exact.validations[-1].score, rel=0.05)
