"""A search, run for real: trials on workers, the winners as rows, scored on unread text."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from mta_lab.errors import UserError
from mta_lab.lab import searches
from mta_lab.lab.display import Display
from mta_lab.launch.launch import LaunchOptions, study_name
from mta_lab.results.records import Record, Records
from mta_lab.scheduling import Trials
from mta_lab.scheduling.trials import STARTUP
from mta_lab.workspace import CORPORA
from tests.launch.conftest import Launched, planned, run
from tests.launch.sweeps import write_sweep
from tests.scheduling.conftest import plain_study

TRIALS = 8
RATE = {"from": 1e-5, "to": 3e-2, "log": True}
ROWS: dict[str, dict[str, Any]] = {
    "plain": {"attention": "softmax", "training.learning_rate": "$rate"},
    "kernel": {
        "attention": {
            "name": "multi_token",
            "pre_softmax": [{"name": "key_query", "kernel": [2, "$keys"], "layers": "all"}],
            "post_softmax": [],
        },
        "training.learning_rate": "$rate",
    },
}
COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL


@dataclass(frozen=True)
class Story:
    """A search in a folder: run, run once more, and asked for one trial more a row."""

    first: Launched
    trials: dict[str, list[FrozenTrial]]
    """by row, after the first run"""
    again: Launched
    more: Launched
    trials_in_all: dict[str, list[FrozenTrial]]


def trials_of(folder: Path, sweep: str, rows: dict[str, Any]) -> dict[str, list[FrozenTrial]]:
    journal = folder / "results" / "optuna.journal"
    names = optuna.get_all_study_names(JournalStorage(JournalFileBackend(str(journal))))
    found = {row: [name for name in names if name.startswith(f"{sweep}-nano-search-{row}-")] for row in rows}
    assert all(len(studies) == 1 for studies in found.values()), names
    return {row: plain_study(journal, name).get_trials() for row, (name,) in found.items()}


def runs_of_trials(folder: Path, experiment: str) -> dict[str, Run]:
    """MLflow's runs of the trials, by the trial's name."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    trials = [run for run in runs if MLFLOW_PARENT_RUN_ID in run.data.tags and " trial " in run.data.tags["row"]]
    assert len({run.data.tags["row"] for run in trials}) == len(trials)
    return {run.data.tags["row"]: run for run in trials}


def started(launched: Launched) -> list[str]:
    return sorted(run.row for event, _, run in launched.events if event == "started")


def best(trials: list[FrozenTrial]) -> FrozenTrial:
    return min((trial for trial in trials if trial.state == COMPLETE), key=lambda trial: trial.value or 0.0)


@pytest.fixture(scope="module")
def story(moody: Path, words: Path) -> Story:
    folder = moody.parent

    def launched(trials: int, workers: int = 2) -> Launched:
        search = {"trials": trials, "space": {"rate": RATE, "keys": {"from": 1, "to": 5}}}
        file = write_sweep(folder / "kernels.yaml", ROWS, seeds=1, search=search, data={"path": str(words)})
        return run(file, [], workers=workers)

    first = launched(TRIALS)
    trials = trials_of(folder, "kernels", ROWS)
    again = launched(TRIALS)
    more = launched(TRIALS + 1, workers=1)
    return Story(first, trials, again, more, trials_of(folder, "kernels", ROWS))


def test_as_many_trials_end_as_were_asked_for(story: Story) -> None:
    assert story.first.status == 0
    assert f"{2 * TRIALS} of {2 * TRIALS} trials to run" in story.first.output
    for row, trials in story.trials.items():
        states = [trial.state for trial in trials]
        assert len(trials) == TRIALS
        assert set(states) <= {COMPLETE, PRUNED}
        assert states.count(COMPLETE) >= STARTUP
        assert f"{row}: {states.count(COMPLETE)} complete" in story.first.output
        assert {"rate", "keys"} >= {name for trial in trials for name in trial.params} >= {"rate"}
        for trial in trials:
            steps = list(trial.intermediate_values)
            assert steps == [6, 12] if trial.state == COMPLETE else steps[0] == 6


def test_the_tracker_holds_every_trial_in_the_state_it_ended_in(story: Story) -> None:
    runs = runs_of_trials(story.first.folder, "kernels-nano")
    trials = {f"{row} trial {trial.number}": trial for row, found in story.trials_in_all.items() for trial in found}
    assert set(runs) == set(trials)
    for name, trial in trials.items():
        tags, whole = runs[name].data.tags, trial.state == COMPLETE
        assert (runs[name].info.status, tags.get("trial_state")) == (
            ("FINISHED", None) if whole else ("KILLED", "PRUNED")
        )
        assert float(runs[name].data.params["training.learning_rate"]) == trial.params["rate"]
        assert runs[name].data.params["stream"] == "search"
        if whole:
            assert runs[name].data.metrics["val/perplexity"] == pytest.approx(trial.value)


def test_the_best_trials_are_the_rows_scored_on_text_that_no_trial_read(story: Story) -> None:
    runs = [record for record in story.first.results if isinstance(record, Record) and record.config["stream"] == ""]
    rates = {record.config["attention"]["name"]: record.config["training"]["learning_rate"] for record in runs}
    won = {row: best(trials) for row, trials in story.trials.items()}
    assert rates == {"softmax": won["plain"].params["rate"], "multi_token": won["kernel"].params["rate"]}
    assert {record.config["data"]["evaluate"] for record in runs} == {"test"}
    (kernel,) = (record for record in runs if record.config["attention"]["name"] == "multi_token")
    assert kernel.config["attention"]["pre_softmax"][0]["kernel"] == [2, won["kernel"].params["keys"]]
    searched = [record for record in story.first.results if isinstance(record, Record) and record not in runs]
    assert {record.config["data"]["evaluate"] for record in searched} == {"valid"}
    table = story.first.output.partition("Kernels (nano)")[2]
    for record in runs:
        assert f"{record.score:.2f}" in table
    for trial in won.values():
        assert f"best: trial {trial.number} (" in story.first.output


def test_the_same_again_runs_no_trial_and_trains_nothing(story: Story) -> None:
    assert (story.again.status, story.again.events) == (0, [])
    assert "trials to run" not in story.again.output
    assert "nothing to train" in story.again.output
    table = "Kernels (nano)"
    assert story.again.output.partition(table)[2] == story.first.output.partition(table)[2] != ""


def test_more_trials_are_only_the_difference(story: Story) -> None:
    assert story.more.status == 0
    assert f"2 of {2 * TRIALS + 2} trials to run" in story.more.output
    assert [name for name in started(story.more) if " trial " in name] == [f"{row} trial 8" for row in sorted(ROWS)]
    for row, trials in story.trials_in_all.items():
        before = [(trial.number, trial.params, trial.value) for trial in story.trials[row]]
        assert [(trial.number, trial.params, trial.value) for trial in trials[:TRIALS]] == before
        assert len(trials) == TRIALS + 1
        assert len({trial.params["rate"] for trial in trials}) == len(trials)
        # A new row is trained where the new trial won, and only there.
        assert (row in started(story.more)) == (best(trials).number == TRIALS)


def test_what_falls_behind_is_stopped_and_recorded_as_pruned(moody: Path, words: Path) -> None:
    """No perplexity is below 1: after trials with 1 from the start, every other is pruned."""
    rows = {"plain": ROWS["plain"]}
    search = {"trials": STARTUP + 2, "space": {"rate": RATE}}
    steps, every = 400, 20
    training = {"steps": steps, "validations": steps // every}
    data = {"path": str(words)}
    file = write_sweep(moody.parent / "hopeless.yaml", rows, seeds=1, search=search, data=data, training=training)
    output = io.StringIO()
    plan = planned(file, Display(lambda line: print(line, file=output)))
    assert plan.sweep.search
    ahead = Trials.opened(plan.records.directory / "optuna.journal", study_name(plan.sweep, "plain"), pytest.fail)
    for _ in range(STARTUP):
        number, _ = ahead.ask(plan.sweep.search.space)
        for step in range(every, steps + 1, every):
            ahead.report(number, step, 1.0)
        ahead.finish(number, 1.0)
    options = LaunchOptions(workers=2, components=(), corpus_root=CORPORA, command=plan.command)
    found = searches.search(plan, options)

    (trials,) = trials_of(moody.parent, "hopeless", rows).values()
    assert [trial.state for trial in trials] == [COMPLETE] * STARTUP + [PRUNED] * 2
    runs = runs_of_trials(moody.parent, "hopeless-nano")
    assert set(runs) == {f"plain trial {number}" for number in (STARTUP, STARTUP + 1)}
    for trial in trials[STARTUP:]:
        entry = runs[f"plain trial {trial.number}"]
        assert (entry.info.status, entry.data.tags["trial_state"]) == ("KILLED", "PRUNED")
        assert every in trial.intermediate_values
        assert max(trial.intermediate_values) < steps
        assert f"plain trial {trial.number} seed 0: pruned at step" in output.getvalue()
        assert Records(moody.parent / "results").finished(entry.data.tags["fingerprint"]) is None
    assert f"plain: {STARTUP} complete, 2 pruned; best: trial" in output.getvalue()
    assert found.sweep.rows[0].config.training.learning_rate in {trial.params["rate"] for trial in trials[:STARTUP]}


def test_a_search_whose_trials_all_fail_makes_no_table_and_can_be_mended(moody: Path, words: Path) -> None:
    rows = {"own": {"attention": {"name": "moody", "mood": "raising"}, "training.learning_rate": "$rate"}}
    search = {"trials": 2, "space": {"rate": RATE}}
    file = write_sweep(moody.parent / "broken.yaml", rows, seeds=1, search=search, data={"path": str(words)})
    flag = moody.parent / "broken"
    flag.touch()
    with pytest.raises(UserError, match=r"broken\.yaml: no trial of row 'own' finished; the files in results/failed"):
        run(file, [moody], workers=1)
    assert [trial.state for trial in trials_of(moody.parent, "broken", rows)["own"]] == [FAIL] * 2
    flag.unlink()
    mended = run(file, [moody], workers=1)
    assert mended.status == 0
    assert "2 of 2 trials to run" in mended.output
    assert started(mended) == ["own", "own trial 2", "own trial 3"]
