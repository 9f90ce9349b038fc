"""Scores of a finished model by an evaluation that its run was not scored by, and their place in its record."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from components import FAMILIES, ComponentError
from components.evaluations import Evaluation
from components.metrics import Metric, Scores
from mta_lab.errors import UserError, nearest
from mta_lab.lab.trained import corpus_of
from mta_lab.pictures.trained import Trained
from mta_lab.results.records import Records
from mta_lab.training.evaluate import evaluate


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The scores of a finished model. `FinishedRun.evaluate` returns it."""

    metric: Metric
    """what the scores are: name, unit, direction, format"""
    domains: Mapping[str, float]
    """a score for each domain"""
    scored: Mapping[str, int]
    """how many tokens or sequences each domain's score is over"""

    @property
    def score(self) -> float:
        """Return the plain mean over the domains, as the paper averages; a share is from 0 to 1."""
        return Scores(domains=self.domains).mean

    @property
    def n(self) -> int:
        """Return how many tokens or sequences were scored, of all domains together."""
        return sum(self.scored.values())

    @property
    def unit(self) -> str:
        """Return the unit that `str` writes the score in: `%`, or nothing."""
        return self.metric.unit

    def __str__(self) -> str:
        unit = self.unit and f" {self.unit}"
        return f"{self.metric.words} {self.metric.written(self.score)}{unit} (n={self.n:,})"


def evaluation_named(name: str, settings: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation of that name with these settings; raise UserError for a mistake in either."""
    try:
        variant = FAMILIES["evaluations"].get(name)
        allowed = [field.name for field in fields(variant)]
        if unknown := [key for key in settings if key not in allowed]:
            hint = nearest(unknown[0], allowed) or ";"
            raise ComponentError(f"{name} has no setting '{unknown[0]}'{hint} it has: {', '.join(allowed) or 'none'}")
        made = variant(**settings)
    except (ComponentError, TypeError) as error:
        raise UserError(f"evaluate: {error}") from None
    assert isinstance(made, Evaluation)
    return made


def evaluate_run(run: Trained, evaluation: Evaluation, records: Records) -> EvaluationResult:
    """Return the scores of a finished model on what its run holds out, as its last validation read it.

    The record keeps them where it has none of that metric and the evaluation's settings are the default ones, which
    is what a metric's name stands for there; nothing else in it changes, its identity least of all. Raises UserError
    where the run's components or its text have changed since, and where no finite score comes out.
    """
    if not run.current:
        raise UserError(
            f"evaluate: the code of the components of run {run.record.fingerprint} has changed since it was trained: "
            "with its weights it would be another model; --rerun-stale with the command that trained it trains it anew"
        )
    try:
        (scores,) = _scores(run, evaluation)
    except (ComponentError, FloatingPointError) as error:
        raise UserError(f"evaluate: run {run.record.fingerprint}: {error}") from None
    if all(getattr(evaluation, field.name) == field.default for field in fields(evaluation)):
        records.add_scores(run.record.fingerprint, evaluation.metric.name, scores)
    return EvaluationResult(metric=evaluation.metric, domains=scores.domains, scored=scores.scored)


def _scores(run: Trained, evaluation: Evaluation) -> list[Scores]:
    """Compute on a GPU where there is one; the model is on the CPU afterwards, as it was."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return [*evaluate(run.model.to(device), run.config, corpus_of(run), [evaluation]).values()]
    finally:
        run.model.to("cpu")
