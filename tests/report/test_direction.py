"""A metric of which more is better: colours, front, rankings, searches and MLflow turn around."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.evaluations import TokenAccuracy
from components.metrics import ERROR_RATE
from mta_lab.report.figures.pareto import _point, front
from mta_lab.report.figures.rows import colour, mark
from mta_lab.report.table import Table
from mta_lab.scheduling import Trials
from mta_lab.sweep.search import Range
from mta_lab.theme.style import BETTER, WORSE
from mta_lab.tracking.view import _state
from tests.report.examples import CLEAR, example_sweep, scored_by, table_of

ACCURACY = TokenAccuracy.metric
SCORES = {"softmax": 0.5, "narrow": 0.6, "wide": 0.8}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    sweep = scored_by(example_sweep(tmp_path), "error_rate")
    monkeypatch.setattr(type(sweep.rows[0].config.task), "evaluation", TokenAccuracy())
    found = {row: {seed: score + 0.01 * seed for seed in sweep.seeds} for row, score in SCORES.items()}
    return table_of(tmp_path, found, sweep=sweep)


def test_a_higher_score_is_drawn_as_better() -> None:
    assert (colour(ACCURACY, 0.1), colour(ACCURACY, -0.1)) == (BETTER, WORSE)
    assert (colour(ERROR_RATE, 0.1), colour(ERROR_RATE, -0.1)) == (WORSE, BETTER)


def test_the_row_with_the_highest_score_is_on_the_front(table: Table) -> None:
    assert table.sweep.metric is ACCURACY
    points = [_point(row, "flops_per_token", alone=True) for row in table.rows]
    means = [(point.cost, point.loss) for point in points]
    assert {table.rows[place].name.partition(",")[0] for place in front(means)} == {"wide"}


def test_a_search_looks_for_the_highest_score(tmp_path: Path) -> None:
    space = {"x": Range(0.0, 1.0)}
    trials = Trials.opened(tmp_path / "journal", "row", lambda _: None, space, ACCURACY.direction)
    for score in (0.2, 0.9, 0.5):
        number, _ = trials.ask(space)
        trials.finish(number, score)
    assert [best.score for best in trials.best(2)] == [0.9, 0.5]


def test_mlflow_sorts_the_best_run_first() -> None:
    assert not _state(ACCURACY, ())["orderByAsc"]
    assert _state(ERROR_RATE, ())["orderByAsc"]


def test_a_point_has_the_colour_of_its_verdict(tmp_path: Path) -> None:
    """`wide` was better at an early look; its difference at the last one has the other sign."""
    row = table_of(tmp_path, CLEAR).rows[2].measured
    later = replace(row, contrast=replace(row.contrast, delta=0.01))
    assert (later.verdict, mark(later)["color"]) == ("better", BETTER)
