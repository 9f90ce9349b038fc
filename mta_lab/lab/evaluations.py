"""Score the finished runs of a sweep by evaluations, later than they were trained; never train."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from components import FAMILIES
from components.evaluations import Evaluation, TextEvaluation
from components.metrics import METRICS
from mta_lab.config import component
from mta_lab.errors import UserError
from mta_lab.evaluation import changed_settings, evaluation_fingerprint
from mta_lab.lab.asking import Questions, ask_run
from mta_lab.lab.evaluating import evaluate_run, written
from mta_lab.lab.plan import Plan
from mta_lab.lab.syncing import runs_to_sync
from mta_lab.lab.trained import opened
from mta_lab.launch.guards import only_launch
from mta_lab.pictures.trained import Trained
from mta_lab.planning.runs import Run
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Record
from mta_lab.tracking.opened import enter_evaluated
from mta_lab.words import counted
from mta_lab.workspace import again


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Numbers of results by what became of them."""

    new: int = 0
    """results that were computed"""
    there: int = 0
    """results that records had already"""
    left_out: int = 0
    """runs that could not be scored, each with a line that said why"""


def evaluations_of(words: Sequence[str], usual: Sequence[Evaluation] = ()) -> list[Evaluation]:
    """Return the evaluations that words name: `needles`, or `{name: needles, counts: [2, 4]}`.

    `lm_eval:piqa,boolq` is short for `{name: lm_eval, tasks: [piqa, boolq]}`. Without words, return
    the usual ones.

    Raises:
        UserError: a word names none, or a setting is wrong; or there is neither.
    """
    if not words and usual:
        return [*usual]
    if not words:
        asking = ", ".join(variant.name for variant in FAMILIES["evaluations"].registered())
        raise UserError(f"--on: is missing; type for example --on needles; evaluations: {asking}")
    found = [component("evaluations", _long(word), "--on") for word in words]
    assert all(isinstance(one, Evaluation) for one in found)
    return found  # type: ignore[return-value]  # as checked


def _long(word: str) -> str:
    """Return the long form of `NAME:TASK,TASK`; any other word as it is."""
    name, colon, tasks = word.partition(":")
    return f"{{name: {name}, tasks: [{tasks}]}}" if colon and name.isidentifier() and tasks[:1] != " " else word


def evaluate_plan(plan: Plan, row: str | None, evaluations: Sequence[Evaluation]) -> Outcome:
    """Score the finished runs of a plan, or of a row, by each evaluation.

    Each result is computed once: what a record has is left as it is. Interrupted, the same call
    goes on from the last batch. No launch may run at the same time: it writes records, too.

    Raises:
        UserError: nothing is finished, or an evaluation cannot be made of the runs' text.
    """
    runs = [run for run in runs_to_sync(plan) if row in (None, run.row)]
    finished = [run for run in runs if plan.records.has_finished(run.fingerprint)]
    trains = f"`{again(plan.command)}` trains what is missing"
    if not finished:
        raise UserError(f"{plan.given}: no run is finished here that could be scored; {trains}")
    if len(finished) < len(runs):
        plan.display.note(f"{len(finished)} of {counted(len(runs), 'run')} are finished and scored; {trains}")
    scoring = _Scoring(plan)
    with only_launch(plan.records.directory):
        for evaluation in evaluations:
            for run in finished:
                scoring.score(run, evaluation)
    return Outcome(new=scoring.new, there=scoring.there, left_out=len(scoring.left_out))


def ask_finished(plan: Plan, runs: Sequence[Run]) -> bool:
    """Ask finished runs of a plan what its sweep says; return whether all of them were asked.

    Interrupted, the same command goes on from the last batch.
    """
    scoring = _Scoring(plan)
    to_ask = [
        (run, evaluation)
        for evaluation in plan.sweep.evaluations
        for run in runs
        if (record := plan.records.usable(run.fingerprint)) and _before(run, record, evaluation) is None
    ]
    if to_ask:
        said = ", ".join(evaluation.name for evaluation in plan.sweep.evaluations)
        plan.display.say(f"{plan.sweep.title}: {counted(len(to_ask), 'evaluation')} of finished runs: {said}")
        with only_launch(plan.records.directory):
            for run, evaluation in to_ask:
                try:
                    scoring.score(run, evaluation)
                except UserError as error:  # the table shows the other runs all the same
                    scoring.leave_out(run, error)
    return not scoring.left_out


def shown_by(plan: Plan) -> str:
    """Return the command that shows the results of a plan."""
    return again(plan.report)


class _Scoring:
    """Scores run after run, and says each result; a line on many runs is said once."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._questions = plan, Questions(plan.display.note)
        self._said = set[str]()
        self.new = self.there = 0
        self.left_out = set[str]()
        """runs that could not be scored"""

    def score(self, run: Run, evaluation: Evaluation) -> None:
        """Score a run, unless its record has the result."""
        record = self._plan.records.finished(run.fingerprint)
        assert record
        found, anew = _before(run, record, evaluation), False
        if found is None:
            try:
                trained = opened(record, self._plan.records, self._plan.display)
            except UserError as error:  # no weights
                self.leave_out(run, error)
                return
            found, anew = self._computed(run, trained, evaluation), True
        self.new, self.there = self.new + anew, self.there + (not anew)
        line = found if isinstance(found, str) else _scores_in_words(found)
        self._plan.display.say(f"{run.label}, {evaluation.name}: {line}{'' if anew else ' (scored before)'}")
        for about in _about(found) if isinstance(found, Evaluated) else ():
            if f"{evaluation.name}: {about}" not in self._said:
                self._said.add(f"{evaluation.name}: {about}")
                self._plan.display.say(f"{evaluation.name}: {about}")

    def leave_out(self, run: Run, why: UserError) -> None:
        """Say why a run cannot be scored, each reason once."""
        if str(why) not in self._said:
            self._plan.display.note(f"{run.label} is left out: {why}")
        self._said.add(str(why))
        self.left_out.add(run.label)

    def _computed(self, run: Run, trained: Trained, evaluation: Evaluation) -> Evaluated | str:
        records, display = self._plan.records, self._plan.display
        if not isinstance(evaluation, TextEvaluation):
            return str(evaluate_run(trained, evaluation, records))
        with display.progress(f"{run.label}, {evaluation.name}") as advance:
            evaluated = ask_run(trained, evaluation, records, self._questions, advance)
        if trained.record.run_id:
            _enter(self._plan, trained.record, evaluated)
        return evaluated


def _before(run: Run, record: Record, evaluation: Evaluation) -> Evaluated | str | None:
    """Return the result that a record has, or None where it has none."""
    if isinstance(evaluation, TextEvaluation):
        if not run.config.reads_text:
            return None
        return record.evaluated.get(evaluation_fingerprint(evaluation, run.config, run.content_hash))
    name = evaluation.metric.name
    if not changed_settings(evaluation) and name in record.evaluations:
        return written(evaluation.metric, record.evaluations[name].mean)
    return None


def _scores_in_words(evaluated: Evaluated) -> str:
    """Return the mean over groups by each metric, in a line."""
    return ", ".join(
        f"{written(METRICS[name], by.mean)} (n={sum(by.n.values()):,})" for name, by in evaluated.metrics.items()
    )


def _about(evaluated: Evaluated) -> list[str]:
    """Return a line on the floors of a result, and one on each thing that was left out."""
    groups = next(iter(evaluated.metrics.values())).scores
    whole = {guess: by_group for guess, by_group in evaluated.floors.items() if by_group.keys() >= groups.keys()}
    floors = {guess: fmean(by_group[group] for group in groups) for guess, by_group in whole.items()}
    beside = ", ".join(f"{guess} {100 * floor:.1f} %" for guess, floor in floors.items())
    return [*([f"floors: {beside}"] if beside else []), *evaluated.notes]


def _enter(plan: Plan, record: Record, evaluated: Evaluated) -> None:
    try:
        enter_evaluated(record, evaluated)
    except UserError as error:
        plan.display.note(f"{error}; the record keeps the result")
