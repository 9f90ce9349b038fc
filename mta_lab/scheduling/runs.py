"""Each run of a sweep is a trial of the sweep's study.

The plan is ours and Optuna runs it: a run is enqueued when a worker is free for it and asked for at
once, so the sampler never invents a trial.
"""

from collections.abc import Callable
from pathlib import Path

from optuna.trial import Trial, TrialState, create_trial

from mta_lab.scheduling.journal import Direction, fail_running, open_study


class Study:
    """The Optuna study of one sweep."""

    def __init__(self, journal: Path, name: str, say: Callable[[str], None], direction: Direction = "minimize") -> None:
        self._study = open_study(journal, name, say, direction)
        fail_running(self._study)
        for _ in self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.tell(self._study.ask(), state=TrialState.FAIL)  # only a trial that was asked for can be told
        self._running: dict[str, Trial] = {}
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self._complete = {trial.user_attrs.get("fingerprint") for trial in complete}

    def claim(self, fingerprint: str, row: str, seed: int) -> None:
        """Start the trial of a run."""
        self._study.enqueue_trial({}, user_attrs={"fingerprint": fingerprint, "row": row, "seed": seed})
        trial = self._study.ask()
        if trial.user_attrs["fingerprint"] != fingerprint:
            raise RuntimeError(f"the study handed out {trial.user_attrs}, not {row} seed {seed}")
        self._running[fingerprint] = trial

    def report(self, fingerprint: str, step: int, score: float) -> None:
        """Note a validation of a running run."""
        self._running[fingerprint].report(score, step)

    def finish(self, fingerprint: str, score: float) -> None:
        """Complete the trial of a run."""
        self._study.tell(self._running.pop(fingerprint), score)
        self._complete.add(fingerprint)

    def fail(self, fingerprint: str, reason: str) -> None:
        """Fail the trial of a run, with its reason."""
        trial = self._running.pop(fingerprint)
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def has(self, fingerprint: str) -> bool:
        """Return whether the run is complete here."""
        return fingerprint in self._complete

    def import_finished(self, fingerprint: str, row: str, seed: int, score: float) -> None:
        """Enter a run that another sweep finished, unless it is here already."""
        if not self.has(fingerprint):
            attributes = {"fingerprint": fingerprint, "row": row, "seed": seed}
            self._study.add_trial(create_trial(value=score, user_attrs=attributes))
            self._complete.add(fingerprint)
