"""A search's trials: proposed within ranges, pruned, ranked, read while another process writes."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from mta_lab.scheduling import Trials
from mta_lab.scheduling.trials import STARTUP
from mta_lab.sweep.search import Choices, Method, PrunerName, Range
from tests.scheduling.conftest import plain_study

SPACE: Mapping[str, Range | Choices] = {
    "rate": Range(1e-3, 1e-1, log=True),
    "share": Range(0.5, 1.5),
    "keys": Range(1, 3),
    "width": Range(1, 64, log=True),
    "layers": Choices(("every 4", "all")),
}
RATE: Mapping[str, Range | Choices] = {"rate": Range(1e-3, 1e-1, log=True)}
# Asks for two trials, reports on one, completes it, and dies without a word. argv: the journal.
DYING = """
import os, sys
from pathlib import Path
from mta_lab.scheduling import Trials
from mta_lab.sweep.search import Range
trials = Trials.opened(Path(sys.argv[1]), "table", print)
first, _ = trials.ask({"keys": Range(1, 9)})
second, values = trials.ask({"keys": Range(1, 9)})
print(values["keys"])
trials.report(first, 10, 9.5)
trials.finish(first, 9.0)
os._exit(9)
"""


def opened(journal: Path) -> Trials:
    return Trials.opened(journal, "table", pytest.fail)


def complete(trials: Trials, score: float, space: Mapping[str, Range | Choices] = RATE) -> dict[str, Any]:
    """A trial with that score, validated at steps 10 and 20; its values."""
    number, values = trials.ask(space)
    trials.report(number, 10, 2 * score)
    trials.report(number, 20, score)
    trials.finish(number, score)
    return values


def test_values_are_within_their_ranges(journal: Path) -> None:
    trials = opened(journal)
    found = [complete(trials, float(score), SPACE) for score in range(20)]
    for values in found:
        assert set(values) == set(SPACE)
        assert 1e-3 <= values["rate"] <= 1e-1
        assert 0.5 <= values["share"] <= 1.5
        assert type(values["keys"]) is int
        assert type(values["width"]) is int
    assert {values["keys"] for values in found} == {1, 2, 3}
    assert {values["layers"] for values in found} == {"every 4", "all"}
    assert {values["width"] for values in found} <= set(range(1, 65))
    assert len({values["rate"] for values in found}) == len(found)
    (first, *_) = plain_study(journal).get_trials()
    assert first.params == found[0]
    assert first.distributions == {
        "rate": FloatDistribution(1e-3, 1e-1, log=True),
        "share": FloatDistribution(0.5, 1.5),
        "keys": IntDistribution(1, 3),
        "width": IntDistribution(1, 64, log=True),
        "layers": CategoricalDistribution(("every 4", "all")),
    }


def test_a_trial_runs_reports_and_completes(journal: Path) -> None:
    trials = opened(journal)
    values = complete(trials, 11.0)
    (trial,) = plain_study(journal).get_trials()
    assert (trial.state, trial.value, trial.params) == (TrialState.COMPLETE, 11.0, values)
    assert trial.intermediate_values == {10: 22.0, 20: 11.0}


def test_what_falls_behind_the_median_is_to_be_pruned_and_nothing_before_the_start_up_is_over(journal: Path) -> None:
    trials = opened(journal)
    for done in range(STARTUP):
        hopeless, _ = trials.ask(RATE)
        assert not trials.report(hopeless, 10, 1000.0), f"after {done} trials"
        trials.fail(hopeless, "to be asked for anew")
        complete(trials, done + 1.0)
    behind, _ = trials.ask(RATE)
    assert trials.report(behind, 10, 1000.0)
    trials.prune(behind)
    ahead, _ = trials.ask(RATE)
    assert not trials.report(ahead, 10, 0.5)
    trials.finish(ahead, 0.5)
    pruned = plain_study(journal).get_trials(states=(TrialState.PRUNED,))
    assert [(trial.number, trial.intermediate_values) for trial in pruned] == [(behind, {10: 1000.0})]
    assert trials.counts() == {"complete": STARTUP + 1, "pruned": 1, "failed": STARTUP}
    assert trials.ended() == STARTUP + 2  # what failed counts for nothing
    assert [best.number for best in trials.best(1)] == [ahead]


def test_a_failed_trial_keeps_its_reason_and_does_not_count(journal: Path) -> None:
    trials = opened(journal)
    number, _ = trials.ask(RATE)
    trials.fail(number, "ValueError: too wide")
    (trial,) = plain_study(journal).get_trials()
    assert (trial.state, trial.user_attrs) == (TrialState.FAIL, {"reason": "ValueError: too wide"})
    assert (trials.ended(), trials.best(3)) == (0, [])


def test_the_best_are_distinct_and_in_order(journal: Path) -> None:
    trials = opened(journal)
    space: Mapping[str, Range | Choices] = {"layers": Choices(("every 4", "all"))}
    scores: dict[str, list[float]] = {}
    for score in (5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0):
        scores.setdefault(complete(trials, score, space)["layers"], []).append(score)
    assert len(scores) == 2
    expected = sorted((min(found), layers) for layers, found in scores.items())
    assert [(best.score, best.values["layers"]) for best in trials.best(5)] == expected
    assert [best.score for best in trials.best(1)] == [1.0]
    numbers = {trial.number: trial.value for trial in plain_study(journal).get_trials()}
    assert all(numbers[best.number] == best.score for best in trials.best(5))


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_choice_may_be_a_list_or_a_mapping(journal: Path) -> None:
    """As kernels and components are written."""
    trials = opened(journal)
    space: Mapping[str, Range | Choices] = {
        "kernel": Choices(([1, 1], [4, 9])),
        "norm": Choices(("none", {"name": "gate"})),
    }
    found = [complete(trials, float(score), space) for score in range(8)]
    assert trials.best(1)[0].values == found[0]
    beside = Trials.open_existing(journal, "table")
    assert beside
    assert beside.best(4) == trials.best(4)
    assert len(trials.best(8)) == len({repr(sorted(values.items())) for values in found})


def test_trials_at_hand_are_read_while_another_process_writes(journal: Path) -> None:
    trials = opened(journal)
    complete(trials, 3.0)
    trials.ask(RATE)
    before = journal.read_bytes()
    beside = Trials.open_existing(journal, "table")
    assert beside
    assert (beside.ended(), beside.counts()["complete"], beside.best(1)) == (1, 1, trials.best(1))
    assert journal.read_bytes() == before  # what runs is left to whoever runs it
    with journal.open("ab") as file:
        file.write(b'{"op_code": 6, "wor')  # a line that is just being written
    again = Trials.open_existing(journal, "table")
    assert again
    assert again.best(1) == trials.best(1)


def test_a_reopened_study_proposes_new_values(journal: Path) -> None:
    found = [complete(opened(journal), 3.0)["rate"] for _ in range(4)]
    assert len(set(found)) == 4


def test_nothing_is_at_hand_where_nothing_is(journal: Path) -> None:
    assert Trials.open_existing(journal, "table") is None
    assert not journal.parent.exists()
    complete(opened(journal), 3.0)
    assert Trials.open_existing(journal, "other") is None
    journal.write_text("")
    assert Trials.open_existing(journal, "table") is None


def test_reopening_fails_what_a_launch_that_died_left_running_and_asks_for_it_again(journal: Path) -> None:
    died = subprocess.run([sys.executable, "-u", "-c", DYING, journal], check=False, capture_output=True, text=True)
    assert died.returncode == 9
    beside = Trials.open_existing(journal, "table")
    assert beside
    assert beside.counts() == {"complete": 1, "pruned": 0, "failed": 0}
    trials = opened(journal)
    assert trials.counts() == {"complete": 1, "pruned": 0, "failed": 0}, "it goes on, and has not failed"
    number, values = trials.ask({"keys": Range(1, 9)})
    assert values == {"keys": int(died.stdout)}
    trials.finish(number, 8.0)
    assert [best.score for best in trials.best(2)] in ([8.0, 9.0], [8.0])  # the latter if the values are the same
    assert trials.ended() == 2


def test_values_that_failed_are_asked_for_again_when_they_should_be(journal: Path) -> None:
    trials = opened(journal)
    number, values = trials.ask({"keys": Range(1, 9)})
    trials.fail(number, "out of luck")
    assert trials.failed() == [values]
    for _ in range(2):  # once is enough
        trials.ask_again(values)
    asked = [trials.ask({"keys": Range(1, 9)})[1] for _ in range(2)]
    assert asked[0] == values
    assert len(opened(journal).failed()) == 1


def test_all_trials_are_told_with_how_they_ended_and_which_value_matters(journal: Path) -> None:
    trials = opened(journal)
    space: Mapping[str, Range | Choices] = {"rate": Range(0.0, 1.0), "norm": Choices(({"name": "gate"}, "none"))}
    for _ in range(8):
        number, values = trials.ask(space)
        trials.finish(number, (values["norm"] == "none") + 0.01 * values["rate"])
    number, _ = trials.ask(space)
    trials.report(number, 10, 5.0)
    trials.prune(number)
    number, _ = trials.ask(space)
    trials.fail(number, "RuntimeError: no")
    found = opened(journal).tried()
    assert [trial.state for trial in found] == ["complete"] * 8 + ["pruned", "failed"]
    assert [trial.score for trial in found[8:]] == [5.0, None]
    importance = trials.importance()
    assert [*importance] == ["norm", "rate"]
    assert sum(importance.values()) == pytest.approx(1)
    assert Trials.opened(journal, "another", pytest.fail).importance() == {}


@pytest.mark.parametrize(("pruner", "ended"), [("median", True), ("hyperband", True), ("none", False)])
def test_a_pruner_by_name_ends_trials_that_fall_behind(journal: Path, pruner: PrunerName, ended: bool) -> None:
    method = Method(pruner=pruner, steps=90, every=10)
    trials = Trials.opened(journal, "table", pytest.fail, method=method)
    pruned = False
    for score in range(30):
        number, _ = trials.ask(RATE)
        if any(trials.report(number, step, float(score)) for step in range(10, 90, 10)):
            pruned = True
            trials.prune(number)
        else:
            trials.finish(number, float(score))
    assert pruned == ended
