"""A sweep with a search, launched for real, whose metric is better the higher it is."""

import base64
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from components.registry import remembered
from mta_lab.lab.launches import launch_plan
from mta_lab.report import Table, render
from mta_lab.report.figures.forest import forest
from mta_lab.report.figures.pareto import _point, front
from mta_lab.report.sections import sections
from mta_lab.theme.style import BETTER, WORSE
from mta_lab.tracking.view import VIEW_TAG
from tests.launch.conftest import planned
from tests.launch.sweeps import write_sweep
from tests.scheduling.conftest import plain_study

TRIALS = 7
ROWS: dict[str, dict[str, Any]] = {
    "still": {
        "attention": "softmax",
        "training.learning_rate": 1e-6,
        "published": {"value": 0.5, "source": "made up"},
    },
    "learning": {
        "attention": "softmax",
        "training.learning_rate": "$rate",
        "published": {"value": 0.9, "source": "made up"},
    },
}


@dataclass(frozen=True)
class Story:
    """A launch of the sweep, as far as it left anything."""

    folder: Path
    table: Table
    trials: list[FrozenTrial]
    study: optuna.Study


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder, forget = tmp_path_factory.mktemp("easy"), remembered()
    component = folder / "easy.py"
    component.write_text((Path(__file__).parent / "easy.py").read_text(encoding="utf-8"), encoding="utf-8")
    file = write_sweep(
        folder / "accuracy.yaml",
        ROWS,
        seeds=4,
        search={"trials": TRIALS, "space": {"rate": {"from": 1e-5, "to": 3e-2, "log": True}}},
        task={"name": "easy", "held_out": 200},
        model={"vocabulary": 8},
        components=["easy.py"],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        launched = launch_plan(planned(file, components=[component]), 2)
        journal = folder / "results" / "optuna.journal"
        (name,) = [
            name
            for name in optuna.get_all_study_names(JournalStorage(JournalFileBackend(str(journal))))
            if "-search-learning" in name
        ]
        study = plain_study(journal, name)
        yield Story(folder, launched.table, study.get_trials(), study)
    forget()


def mean(story: Story, name: str) -> float:
    (found,) = [row.measured.mean for row in story.table.rows if row.name == name]
    assert found is not None
    return found


def test_the_search_takes_the_trial_with_the_highest_score(story: Story) -> None:
    whole = [trial for trial in story.trials if trial.state == TrialState.COMPLETE]
    best = max(whole, key=lambda trial: trial.value or 0.0)
    assert story.study.direction == StudyDirection.MAXIMIZE
    assert best.value > min(trial.value or 0.0 for trial in whole), "all trials are alike: this test shows nothing"
    (row,) = [row for row in story.table.sweep.rows if row.name == "learning"]
    rates = [trial.params["rate"] for trial in whole if trial.value == best.value]
    assert row.config.training.learning_rate in rates


def test_no_trial_is_pruned_that_was_ahead(story: Story) -> None:
    """The median pruner ends trials that are below the median of the whole ones, never above."""
    told = [(trial.number, trial.state.name, dict(trial.intermediate_values)) for trial in story.trials]
    whole = [trial.intermediate_values for trial in story.trials if trial.state == TrialState.COMPLETE]
    for trial in story.trials:
        if trial.state == TrialState.PRUNED:  # Lightning validates once more where a run stops
            steps = {step for values in whole for step in values} & trial.intermediate_values.keys()
            judged_at = max(steps)
            best = max(values[judged_at] for values in whole if judged_at in values)
            assert trial.intermediate_values[judged_at] < best, told


def test_the_row_that_learned_is_better_in_table_and_verdict(story: Story) -> None:
    assert mean(story, "learning") > mean(story, "still")
    (row,) = [row for row in story.table.rows if row.name == "learning"]
    assert row.measured.contrast is not None
    assert row.measured.contrast.delta == pytest.approx(mean(story, "learning") - mean(story, "still"))
    assert row.measured.metric.is_better(row.measured.contrast.delta)
    assert row.measured.resolved, row.measured.scores
    (line,) = [line for line in sections(story.table)[0].lines if line.cells[0] == "learning"]
    assert line.tone == "resolved", "it is bold"


def test_the_published_sign_is_ours_and_two_rows_are_no_ranking(story: Story) -> None:
    found = story.table.agreement
    assert (found.resolved, found.same_sign, found.tau) == (1, 1, None)


def test_the_printed_table_says_which_way_is_better(story: Story) -> None:
    text = io.StringIO()
    render(story.table, "rich", Console(file=text, width=200))
    assert "A higher token accuracy is better." in text.getvalue()
    assert "error rate" not in text.getvalue().lower()


def test_the_forest_draws_it_as_better_and_the_front_begins_with_it(story: Story) -> None:
    figure = forest(story.table, 7.0)
    assert figure is not None
    drawn = {str(line.get_color()) for axes in figure.axes for line in axes.lines}
    assert BETTER in drawn
    assert WORSE not in drawn
    points = [_point(row, "parameters", alone=True) for row in story.table.rows]
    means = [(point.cost, point.loss) for point in points]
    assert [story.table.rows[place].name for place in front(means)] == ["learning"]


def test_mlflow_has_the_scores_and_shows_the_highest_first(story: Story) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{story.folder}/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if VIEW_TAG in one.tags]
    packed = json.loads(experiment.tags[VIEW_TAG])["state"].partition(";")[2]
    assert json.loads(zlib.decompress(base64.b64decode(packed)))["orderByAsc"] is False
    runs = client.search_runs([experiment.experiment_id], order_by=["metrics.`val/token_accuracy` DESC"])
    rows = [run.data.tags["row"] for run in runs if run.data.metrics.get("val/token_accuracy") is not None]
    assert rows[0].startswith("learning")
    assert rows.index("still") > rows.index("learning")
