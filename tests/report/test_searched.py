"""A search on the page: all trials, what matters, and parallel coordinates."""

from dataclasses import replace
from pathlib import Path

from mta_lab.report import Table, markdown
from mta_lab.report.figures.trials import trials
from mta_lab.sweep.search import Searched, Tried
from mta_lab.theme.style import inline, styled
from tests.report.examples import CLEAR, table_of

TRIALS = [
    Tried(number=0, values={"rate": 0.002, "norm": {"name": "gate"}}, score=31.0, state="complete"),
    Tried(number=1, values={"rate": 0.001, "norm": "none"}, score=29.0, state="complete"),
    Tried(number=2, values={"rate": 0.004, "norm": "none"}, score=50.0, state="pruned"),
    Tried(number=3, values={"rate": 0.008}, score=None, state="failed"),
]


def searched(folder: Path, *of: Tried) -> Table:
    found = Searched(trials=of, importance={"norm": 0.75, "rate": 0.25} if of else {})
    return replace(table_of(folder, CLEAR), searched={"wide": found})


def test_a_table_lists_every_trial_the_best_first_and_what_matters(tmp_path: Path) -> None:
    text = markdown(searched(tmp_path, *TRIALS))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert [line for line in lines if line and line[0] in "0123" and line[-1] in ("complete", "pruned", "failed")] == [
        ["1", "0.001", "none", "29.00", "complete"],
        ["0", "0.002", "gate", "31.00", "complete"],
        ["2", "0.004", "none", "50.00", "pruned"],
        ["3", "0.008", "-", "-", "failed"],
    ]
    assert "wide: of how the scores of its complete trials vary, by fANOVA, 75% go with norm, 25% go with rate." in text
    assert "Trials of" not in markdown(searched(tmp_path))


def test_parallel_coordinates_have_a_line_for_each_complete_trial(tmp_path: Path) -> None:
    with styled():
        figure = trials(searched(tmp_path, *TRIALS), 8.0)
        assert figure
        drawn = inline(figure, "trials")
    (axes,) = figure.axes
    heights = sorted(tuple(map(float, line.get_ydata())) for line in axes.lines if len(line.get_xdata()) == 3)  # type: ignore[arg-type]
    assert heights == [(0.0, 0.75, 1.0), (1.0, 0.25, 0.0)]
    assert "trial 1: rate 0.001, norm none: 29.00" in drawn
    assert trials(searched(tmp_path, TRIALS[0]), 8.0) is None
