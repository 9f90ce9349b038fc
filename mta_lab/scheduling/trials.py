"""A search: a sampler of Optuna's proposes values, and a pruner ends trials that fall behind.

Steps are optimizer steps. Intermediate scores are those of the validation text.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from mta_lab.scheduling.journal import Direction, fail_running, journal_trouble_said, open_study, study_at_hand
from mta_lab.strict import FaultError
from mta_lab.sweep.search import Choices, Ending, Method, Range, Space, Tried

STARTUP = 6  # trials at random, and whole, before the sampler and the pruner judge
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
ENDINGS: Mapping[TrialState, Ending] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
# A kernel is a list and a component perhaps a mapping: the journal, which is JSON, keeps both.
warnings.filterwarnings("ignore", message="Choices for a categorical distribution", category=UserWarning)
# A run that goes on from a checkpoint tells again what it told before.
warnings.filterwarnings("ignore", message="The reported value is ignored because this `step=", category=UserWarning)


@dataclass(frozen=True)
class Best:
    """A trial that ran to its end."""

    number: int
    values: Mapping[str, Any]
    score: float


class Trials:
    """The Optuna study of one searched row."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._running: dict[int, Trial] = {}

    @classmethod
    def opened(
        cls,
        journal: Path,
        name: str,
        say: Callable[[str], None],
        space: Space | None = None,
        direction: Direction = "minimize",
        method: Method | None = None,
    ) -> "Trials":
        """Return the study `name`, to go on with.

        The values of trials that a launch left running are asked for first.

        Where the `space` is given, trials with other values than it proposes mean that the journal
        is damaged.
        """
        study = open_study(journal, name, say, direction, pruner=_pruner(method or Method()))
        _refuse_others(study, space, journal)
        seed = len(study.get_trials(deepcopy=False))  # the same one again would propose the same values again
        study.sampler = _sampler(method or Method(), seed)
        for trial in fail_running(study):
            study.enqueue_trial(trial.params)
        return cls(study)

    @classmethod
    def open_existing(cls, journal: Path, name: str, space: Space | None = None) -> "Trials | None":
        """Return the study `name` for reading, also while another process writes; None without."""
        study = study_at_hand(journal, name)
        if study is None:
            return None
        _refuse_others(study, space, journal)
        return cls(study)

    def ended(self) -> int:
        """Return how many trials finished or were pruned; failed ones do not count."""
        return len(self._study.get_trials(deepcopy=False, states=ENDED))

    def ask(self, space: Mapping[str, Range | Choices]) -> tuple[int, dict[str, Any]]:
        """Start a trial: its number and the values it proposes."""
        trial = self._study.ask()
        self._running[trial.number] = trial
        return trial.number, {name: _suggest(trial, name, found) for name, found in space.items()}

    def report(self, number: int, step: int, score: float) -> bool:
        """Note a validation; whether the trial should be ended for it."""
        trial = self._running[number]
        trial.report(score, step)
        return trial.should_prune()

    def finish(self, number: int, score: float) -> None:
        """Complete a trial."""
        self._study.tell(self._running.pop(number), score)

    def prune(self, number: int) -> None:
        """Record a trial as pruned."""
        self._study.tell(self._running.pop(number), state=TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> None:
        """Fail a trial, with its reason."""
        trial = self._running.pop(number)
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def failed(self) -> list[Mapping[str, Any]]:
        """Return the values of the trials that failed; one that a launch left running did not."""
        return [trial.params for trial in self._study.get_trials(deepcopy=False) if _failed(trial)]

    def ask_again(self, values: Mapping[str, Any]) -> None:
        """Let the next trial have these values, unless one waits for them already."""
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if all(trial.system_attrs.get("fixed_params") != values for trial in waiting):
            self._study.enqueue_trial(dict(values))

    def ask_each(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Let the next trials have these values, but those that have ended or wait already."""
        trials = self._study.get_trials(deepcopy=False, states=(*ENDED, TrialState.WAITING))
        there = [trial.system_attrs.get("fixed_params", trial.params) for trial in trials]
        for values in points:
            if values not in there:
                self._study.enqueue_trial(dict(values))

    def tried(self) -> list[Tried]:
        """Return the trials that have ended, in the order of their number."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state in ENDED or _failed(trial):
                last = max(trial.intermediate_values.items(), default=(0, None))[1]
                score = trial.values[0] if trial.values else last if trial.state in ENDED else None
                found.append(Tried(number=trial.number, values=trial.params, score=score, state=ENDINGS[trial.state]))
        return found

    def importance(self) -> dict[str, float]:
        """Return each value's share in how scores vary, by fANOVA, the largest first.

        It is over the trials that ran to their end; empty where they are too few. Source: Hutter,
        Hoos and Leyton-Brown 2014.
        """
        try:
            found = get_param_importances(self._study, evaluator=FanovaImportanceEvaluator(seed=0))
        except (RuntimeError, ValueError):  # too few trials, or all with the same values or scores
            return {}
        return {name: float(share) for name, share in found.items()}

    def best(self, count: int) -> list[Best]:
        """Return the best trials that ran to their end, one for each set of values."""
        whole = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        higher = self._study.direction == StudyDirection.MAXIMIZE

        def loss(best: Best) -> float:
            return -best.score if higher else best.score

        ranked = sorted((Best(trial.number, trial.params, trial.values[0]) for trial in whole), key=loss)
        distinct = {repr(sorted(best.values.items())): best for best in reversed(ranked)}  # values may be lists
        return sorted(distinct.values(), key=loss)[:count]

    def counts(self) -> Mapping[str, int]:
        """Return how many trials ran to their end, were pruned, failed."""
        trials = self._study.get_trials(deepcopy=False)
        states = [trial.state for trial in trials]
        ended = {"complete": states.count(TrialState.COMPLETE), "pruned": states.count(TrialState.PRUNED)}
        return {**ended, "failed": sum(map(_failed, trials))}


def _sampler(method: Method, seed: int) -> BaseSampler:
    """Return what proposes values; the points of a grid wait in the study, and need none."""
    if method.sampler == "tpe":
        return TPESampler(n_startup_trials=STARTUP, constant_liar=True, seed=seed)
    return RandomSampler(seed=seed)


def _pruner(method: Method) -> BasePruner:
    if method.pruner == "hyperband":
        return HyperbandPruner(min_resource=method.every, max_resource=max(method.steps, method.every))
    return MedianPruner(n_startup_trials=STARTUP) if method.pruner == "median" else NopPruner()


def _refuse_others(study: optuna.Study, space: Space | None, journal: Path) -> None:
    """Raise UserError if trials, ended or waiting, have values that `space` does not propose."""
    if space is None:
        return
    with journal_trouble_said(journal):
        for trial in study.get_trials(deepcopy=False):
            proposed = {**trial.params, **trial.system_attrs.get("fixed_params", {})}
            others = [name for name, value in proposed.items() if not _within(space.get(name), value)]
            if others or (trial.state == TrialState.COMPLETE and trial.params.keys() != space.keys()):
                raise FaultError(
                    f"trial {trial.number} of {study.study_name} has other values than its search proposes"
                )


def _within(found: Range | Choices | None, value: Any) -> bool:
    if found is None:
        return False
    if isinstance(found, Choices):
        return value in found.values
    kinds = (int,) if found.whole else (int, float)
    return type(value) in kinds and found.low <= value <= found.high


def _failed(trial: FrozenTrial) -> bool:
    """Return whether a trial failed by itself: `fail` says why."""
    return trial.state == TrialState.FAIL and "reason" in trial.user_attrs


def _suggest(trial: Trial, name: str, found: Range | Choices) -> Any:
    if isinstance(found, Choices):
        return trial.suggest_categorical(name, found.values)
    if found.whole:
        return trial.suggest_int(name, int(found.low), int(found.high), log=found.log)
    return trial.suggest_float(name, found.low, found.high, log=found.log)
