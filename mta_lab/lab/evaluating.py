"""Score a finished model by an evaluation, and keep the scores in its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from components import FAMILIES, ComponentError
from components.evaluations import Evaluation, TextEvaluation
from components.metrics import METRICS, Metric, Scores
from mta_lab.devices import own
from mta_lab.errors import UserError, nearest
from mta_lab.evaluation import changed_settings
from mta_lab.lab.asking import Questions, ask_run
from mta_lab.lab.trained import corpus_of, refuse_changed
from mta_lab.pictures.trained import Trained
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Records
from mta_lab.training.evaluate import evaluate


@dataclass(frozen=True, kw_only=True, repr=False)
class EvaluationResult:
    """The scores of a finished model, as `FinishedRun.evaluate` returns them."""

    metric: Metric
    """the metric of the scores: name, unit, direction, format"""
    domains: Mapping[str, float]
    """score of each domain, or of each group of questions"""
    scored: Mapping[str, int]
    """number of tokens, sequences or questions behind each of these scores"""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """95 % interval of each score over its questions, the model as it is;
    empty where no questions were asked, as what follows"""
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """share of questions that a guess without knowledge answers: by guess, then by group"""
    further: Mapping[str, "EvaluationResult"] = field(default_factory=dict)
    """results of other metrics of the same questions, by name"""
    notes: Sequence[str] = ()
    """clauses on what was left out"""

    @property
    def score(self) -> float:
        """Return the mean over the domains, each of equal weight, as in the paper.

        A share is from 0 to 1.
        """
        return Scores(domains=self.domains).mean

    @property
    def n(self) -> int:
        """Return the number of tokens or sequences that were scored, over all domains."""
        return sum(self.scored.values())

    @property
    def unit(self) -> str:
        """Return the unit in which `str` writes the score: `%`, or nothing."""
        return self.metric.unit

    def __str__(self) -> str:
        return f"{written(self.metric, self.score)} (n={self.n:,})"

    def __repr__(self) -> str:
        return f"EvaluationResult({self})"


def written(metric: Metric, score: float) -> str:
    """Return a score with its metric's name and unit: `error rate 12.3 %`."""
    return f"{metric.words} {metric.written(score)}{metric.unit and ' ' + metric.unit}"


def evaluation_named(name: str, settings: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation of that name with these settings.

    Raises:
        UserError: the name or a setting is not known.
    """
    try:
        variant = FAMILIES["evaluations"].get(name)
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
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
    """Return the scores of a finished model on what its run holds out, or by its own questions.

    What questions came to is kept under all settings. Of other evaluations, the run's record keeps
    the scores if it has none of that metric and the settings are the defaults, which the metric's
    name stands for there. Nothing else in the record changes, least of all its identity.

    Raises:
        UserError: the run's components or text have changed since, or no finite score comes out.
    """
    if isinstance(evaluation, TextEvaluation):
        return _result_of(ask_run(run, evaluation, records, Questions(), lambda done, total: None))
    refuse_changed(run, "evaluate")
    try:
        (scores,) = _scores(run, evaluation)
    except (ComponentError, FloatingPointError) as error:
        raise UserError(f"evaluate: run {run.record.fingerprint}: {error}") from None
    if not changed_settings(evaluation):  # the metric's name stands for the defaults
        records.add_scores(run.record.fingerprint, evaluation.metric.name, scores)
    return EvaluationResult(metric=evaluation.metric, domains=scores.domains, scored=scores.scored)


def _result_of(evaluated: Evaluated) -> EvaluationResult:
    """Return the result by the first metric of an evaluation, with the others."""
    found = {
        name: EvaluationResult(
            metric=METRICS[name],
            domains=by.scores,
            scored=by.n,
            intervals={group: (by.low[group], by.high[group]) for group in by.scores},
            floors=evaluated.floors if METRICS[name].is_share else {},
        )
        for name, by in evaluated.metrics.items()
    }
    first = next(iter(found))
    return replace(found.pop(first), further=found, notes=evaluated.notes)


def _scores(run: Trained, evaluation: Evaluation) -> list[Scores]:
    """Compute the scores, on a GPU if there is one; leave the model on the CPU."""
    own.set_precision(run.config.training.precision)
    try:
        return [*evaluate(run.model.to(own.device()), run.config, corpus_of(run), [evaluation]).values()]
    finally:
        run.model.to("cpu")
