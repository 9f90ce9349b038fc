"""A finished run is scored by further evaluations; its record gains them and stays its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import mta_lab
from components.evaluations import Evaluation, Predicted
from components.metrics import METRICS, Metric
from components.registry import register, remembered
from mta_lab.lab.evaluating import evaluate_run, evaluation_named
from mta_lab.launch.recording import record_of
from mta_lab.planning.runs import Run
from mta_lab.report.sections import sections
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from mta_lab.training.evaluate import evaluate
from mta_lab.training.run import train

TOY = {
    "task": {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12},
    "model": {"vocabulary": 28, "width": 16, "layers": 2, "context": 16},
    "training": {"steps": 3, "warmup_steps": 1, "validations": 1, "batch_size": 5},
}
SWEEP = {"title": "Toy", "base": TOY, "seeds": 1, "rows": {"plain": {"attention": "softmax"}}}


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mta_lab.FinishedRun:
    """A run that was trained in three steps, with its weights."""
    monkeypatch.chdir(tmp_path)
    sweep = mta_lab.load(SWEEP, quiet=True)
    (planned,) = load_sweep("results/sweeps/toy.yaml", scale="nano").runs()
    run, records = Run.of(planned, ""), Records()
    result = train(run.config, None, weights=records.weights(run.fingerprint))
    records.finish(record_of(run, result, run_id="", threads=1))
    return sweep.run_of("plain")


@pytest.fixture
def nearly() -> Iterator[None]:
    """An evaluation of a user's, with a setting."""
    forget = remembered()

    @register("evaluations", "nearly")
    class Nearly(Evaluation):
        """Share of scored tokens that are among the most likely ones."""

        metric: ClassVar[Metric] = Metric(name="nearly_right", estimator="proportions", higher_is_better=True, most=1.0)
        most: int = 5
        """how many likely tokens count as right"""

        def values(self, predicted: Predicted) -> Tensor:
            likely_BTK = predicted.logits.topk(self.most).indices
            right_BT = (likely_BTK == predicted.targets[..., None]).any(-1)
            return right_BT.flatten() if predicted.scored is None else right_BT[predicted.scored]

    yield
    forget()


def test_the_score_that_a_run_was_trained_with_comes_out_again(trained: mta_lab.FinishedRun) -> None:
    again = trained.evaluate("error_rate")
    assert again.score == trained.score
    assert again.domains == trained.record.domains
    assert again.scored == trained.record.scored == {"find_block": 12}


def test_a_result_says_its_metric_its_unit_and_what_it_is_over(trained: mta_lab.FinishedRun) -> None:
    found = trained.evaluate("token_accuracy")
    assert found.metric is METRICS["token_accuracy"]
    assert (found.n, found.unit) == (36, "%")
    assert str(found) == f"token accuracy {100 * found.score:.1f} % (n=36)"
    assert repr(found) == f"EvaluationResult({found})"


def test_the_record_gains_the_scores_and_is_the_same_runs(trained: mta_lab.FinishedRun) -> None:
    before = trained.record
    found = trained.evaluate("token_accuracy")
    after = Records().finished(before.fingerprint)
    assert after == trained.record == replace(before, further=after.further if after else {})
    assert list(trained.record.evaluations) == ["error_rate", "token_accuracy"]
    assert trained.record.evaluations["token_accuracy"].mean == found.score
    assert not trained.record.fault()


def test_a_table_shows_what_its_finished_runs_were_scored_on_since(trained: mta_lab.FinishedRun) -> None:
    trained.evaluate("token_accuracy")
    (shown,) = [one for one in sections(mta_lab.load(SWEEP, quiet=True).table()) if "Other evaluations" in one.title]
    assert METRICS["token_accuracy"].heading in shown.header


@pytest.mark.usefixtures("nearly")
def test_scores_under_other_settings_than_the_default_are_returned_and_not_kept(trained: mta_lab.FinishedRun) -> None:
    one = trained.evaluate("nearly", most=1)
    assert one.score == trained.evaluate("token_accuracy").score
    assert "nearly_right" not in trained.record.further
    five = trained.evaluate("nearly")
    assert five.score >= one.score
    assert trained.record.further["nearly_right"].mean == five.score
    assert trained.evaluate("nearly", most=28).score == 1.0
    assert trained.record.further["nearly_right"].mean == five.score


def test_scoring_changes_neither_the_model_nor_the_random_state(trained: mta_lab.FinishedRun) -> None:
    model = trained.model().train()
    weights, random = {name: one.clone() for name, one in model.state_dict().items()}, torch.get_rng_state()
    found = trained._trained
    evaluate(model, found.config, None, [evaluation_named("perplexity", {})])
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(one, weights[name]) for name, one in model.state_dict().items())
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()  # it can be trained on


def test_batches_of_another_size_make_the_same_scores(trained: mta_lab.FinishedRun) -> None:
    found, evaluations = trained._trained, [evaluation_named(name, {}) for name in ("error_rate", "perplexity")]
    one_by_one = replace(found.config, training=replace(found.config.training, batch_size=1))
    scores, alone = (evaluate(found.model, config, None, evaluations) for config in (found.config, one_by_one))
    assert alone["error_rate"] == scores["error_rate"]
    assert alone["perplexity"].mean == pytest.approx(scores["perplexity"].mean, rel=1e-5)
    assert alone["perplexity"].scored == scores["perplexity"].scored == {"find_block": 36}


def test_a_run_whose_weights_are_gone_is_refused_with_what_to_type(trained: mta_lab.FinishedRun) -> None:
    Records().weights(trained.record.fingerprint).unlink()
    with pytest.raises(mta_lab.UserError, match=r"is missing.*`rm results/runs/\w+\.json`"):
        trained.evaluate("token_accuracy")


def test_a_run_of_other_code_is_refused(trained: mta_lab.FinishedRun) -> None:
    old = replace(trained._trained, record=replace(trained.record, fingerprint="0123456789abcdef"))
    with pytest.raises(mta_lab.UserError, match=r"has changed since it was trained.*--rerun-stale"):
        evaluate_run(old, evaluation_named("token_accuracy", {}), Records())


def test_mistakes_name_what_is_allowed(trained: mta_lab.FinishedRun) -> None:
    with pytest.raises(mta_lab.UserError, match=r"evaluate: no evaluations named 'token_acuracy' \(did you mean"):
        trained.evaluate("token_acuracy")
    with pytest.raises(mta_lab.UserError, match=r"evaluate: token_accuracy has no setting 'k'; it has: none"):
        trained.evaluate("token_accuracy", k=3)
