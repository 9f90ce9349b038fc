"""A sweep's runs as trials of Optuna's."""

import subprocess
import sys
import time
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from mta_lab.locks import holding
from mta_lab.scheduling import Study
from mta_lab.workspace import LAUNCH_LOCK
from tests.scheduling.conftest import plain_study

# Claims two runs, reports on one, and dies without a word. argv: the journal.
DYING = """
import os, sys
from pathlib import Path
from mta_lab.scheduling import Study
study = Study(Path(sys.argv[1]), "table", print)
study.claim("aaaa", "plain", 0)
study.claim("bbbb", "mta", 0)
study.report("aaaa", 10, 9.5)
os._exit(9)
"""


def trials(journal: Path, name: str = "table") -> list[FrozenTrial]:
    return plain_study(journal, name).get_trials()


def test_a_run_runs_reports_and_completes(journal: Path) -> None:
    study = Study(journal, "table", print)
    study.claim("aaaa", "plain", 2)
    (trial,) = trials(journal)
    assert trial.state == TrialState.RUNNING
    assert trial.user_attrs == {"fingerprint": "aaaa", "row": "plain", "seed": 2}
    study.report("aaaa", 5, 12.0)
    study.report("aaaa", 10, 11.0)
    study.finish("aaaa", 11.0)
    (trial,) = trials(journal)
    assert trial.state == TrialState.COMPLETE
    assert trial.value == 11.0
    assert trial.intermediate_values == {5: 12.0, 10: 11.0}
    assert trial.user_attrs == {"fingerprint": "aaaa", "row": "plain", "seed": 2}


def test_a_failed_run_keeps_its_reason_and_can_run_again(journal: Path) -> None:
    study = Study(journal, "table", print)
    study.claim("aaaa", "plain", 0)
    study.fail("aaaa", "ValueError: too wide")
    study.claim("aaaa", "plain", 0)
    study.finish("aaaa", 3.0)
    failed, complete = trials(journal)
    assert (failed.state, failed.value) == (TrialState.FAIL, None)
    assert failed.user_attrs["reason"] == "ValueError: too wide"
    assert failed.user_attrs["fingerprint"] == complete.user_attrs["fingerprint"] == "aaaa"
    assert (complete.state, complete.value) == (TrialState.COMPLETE, 3.0)


def test_runs_run_side_by_side_and_end_in_any_order(journal: Path) -> None:
    study = Study(journal, "table", print)
    runs = [(f"{row}{seed}", row, seed) for seed in range(3) for row in ("plain", "mta")]
    for run in runs:
        study.claim(*run)
    for number, (fingerprint, _, _) in enumerate(reversed(runs)):
        study.finish(fingerprint, float(number))
    found = {trial.user_attrs["fingerprint"]: (trial.user_attrs["row"], trial.value) for trial in trials(journal)}
    assert found == {run[0]: (run[1], float(len(runs) - 1 - index)) for index, run in enumerate(runs)}
    best = plain_study(journal).best_trial
    assert best.user_attrs["fingerprint"] == "mta2"  # lower is better


def test_optuna_never_invents_a_trial(journal: Path) -> None:
    study = Study(journal, "table", print)
    for seed in range(3):
        study.claim(f"run{seed}", "plain", seed)
    study.finish("run0", 1.0)
    study.fail("run1", "interrupted")
    study = Study(journal, "table", print)
    study.claim("run1", "plain", 1)
    study.finish("run1", 2.0)
    study.import_finished("other", "mta", 0, 3.0)
    found = trials(journal)
    assert len(found) == 5
    assert all("fingerprint" in trial.user_attrs and trial.params == {} for trial in found)


def test_trials_of_a_launch_that_died_are_failed_by_the_next(journal: Path) -> None:
    journal.parent.mkdir()
    assert subprocess.run([sys.executable, "-c", DYING, journal], check=False).returncode == 9
    assert [trial.state for trial in trials(journal)] == [TrialState.RUNNING] * 2
    study = Study(journal, "table", print)
    assert [trial.state for trial in trials(journal)] == [TrialState.FAIL] * 2
    assert trials(journal)[0].intermediate_values == {10: 9.5}
    study.claim("bbbb", "mta", 0)
    study.finish("bbbb", 4.0)
    assert [trial.state for trial in trials(journal)] == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]


def test_a_launch_that_died_between_enqueueing_and_asking_does_not_block_the_next(journal: Path) -> None:
    Study(journal, "table", print)
    plain_study(journal).enqueue_trial({}, user_attrs={"fingerprint": "aaaa", "row": "plain", "seed": 0})
    study = Study(journal, "table", print)
    study.claim("bbbb", "mta", 0)
    study.finish("bbbb", 4.0)
    assert trials(journal)[-1].user_attrs["fingerprint"] == "bbbb"
    assert TrialState.WAITING not in {trial.state for trial in trials(journal)}


def test_a_finished_run_is_imported_once(journal: Path) -> None:
    study = Study(journal, "table", print)
    study.claim("aaaa", "plain", 0)
    study.finish("aaaa", 5.0)
    for _ in range(2):
        study = Study(journal, "table", print)
        for _ in range(2):
            study.import_finished("aaaa", "plain", 0, 5.0)
            study.import_finished("bbbb", "mta", 0, 6.0)
    assert [(t.user_attrs["fingerprint"], t.value) for t in trials(journal)] == [("aaaa", 5.0), ("bbbb", 6.0)]
    assert {trial.state for trial in trials(journal)} == {TrialState.COMPLETE}


def test_a_run_finished_by_the_same_study_is_not_imported(journal: Path) -> None:
    study = Study(journal, "table", print)
    study.claim("aaaa", "plain", 0)
    study.finish("aaaa", 5.0)
    study.import_finished("aaaa", "plain", 0, 5.0)
    assert len(trials(journal)) == 1


def test_a_run_that_failed_before_can_still_be_imported(journal: Path) -> None:
    study = Study(journal, "table", print)
    study.claim("aaaa", "plain", 0)
    study.fail("aaaa", "interrupted")
    study.import_finished("aaaa", "plain", 0, 5.0)
    assert [trial.state for trial in trials(journal)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_sweeps_share_a_journal_without_seeing_each_other(journal: Path) -> None:
    one, other = Study(journal, "table-nano", print), Study(journal, "table-small", print)
    one.claim("aaaa", "plain", 0)
    other.claim("bbbb", "plain", 0)
    other.finish("bbbb", 2.0)
    one.finish("aaaa", 1.0)
    assert [trial.value for trial in trials(journal, "table-nano")] == [1.0]
    assert [trial.value for trial in trials(journal, "table-small")] == [2.0]


def test_the_journal_survives_reopening(journal: Path) -> None:
    for seed in range(3):
        study = Study(journal, "table", print)
        study.claim(f"run{seed}", "plain", seed)
        study.finish(f"run{seed}", float(seed))
    assert [trial.value for trial in trials(journal)] == [0.0, 1.0, 2.0]
    assert all(trial.datetime_complete for trial in trials(journal))


def test_a_journal_whose_last_line_was_cut_short_is_mended(journal: Path) -> None:
    study = Study(journal, "table", print)
    study.claim("aaaa", "plain", 0)
    study.finish("aaaa", 5.0)
    study.claim("bbbb", "mta", 0)
    journal.write_bytes(journal.read_bytes()[:-15])
    study = Study(journal, "table", print)
    study.claim("cccc", "mta", 1)
    study.finish("cccc", 6.0)
    values = {trial.user_attrs["fingerprint"]: trial.value for trial in trials(journal)}
    assert values["aaaa"] == 5.0
    assert values["cccc"] == 6.0


def test_the_lock_of_a_launch_that_was_killed_while_it_wrote_is_not_waited_for(journal: Path) -> None:
    """Optuna waits for 30 s before it takes such a lock away."""
    Study(journal, "table", print).claim("aaaa", "plain", 0)
    journal.with_name(f"{journal.name}.lock").symlink_to(journal)
    started = time.monotonic()
    with holding(journal.parent / LAUNCH_LOCK):
        study = Study(journal, "table", print)
        study.claim("aaaa", "plain", 0)
        study.finish("aaaa", 1.0)
    assert time.monotonic() - started < 25
    assert [trial.value for trial in trials(journal)] == [None, 1.0]
