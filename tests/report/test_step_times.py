"""Steps that were timed in turns take the place of those of the runs, and say so."""

from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.report.cost_section import cost, with_interval
from mta_lab.report.notes import notes
from mta_lab.report.table import Table
from mta_lab.results.step_times import StepTime, keep_step_times, merge_step_times, step_times
from mta_lab.workspace import STEP_TIMES
from tests.report.examples import CLEAR, example_sweep, made_up_name, table_of


def timed(row: str, low: float, high: float, rounds: int = 47) -> StepTime:
    """A step of a row over one of `softmax`; both are named after their first run."""
    return StepTime(
        row=made_up_name(row, 0),
        baseline=made_up_name("softmax", 0),
        value=(low + high) / 2,
        low=low,
        high=high,
        rounds=rounds,
        machine="a made-up machine",
        code="some",
        commit="abc",
    )


def shown(folder: Path, *measured: StepTime) -> tuple[Table, str]:
    """The table beside these step times, and the notes on it."""
    sweep = example_sweep(folder)
    keep_step_times(folder / "results", measured)
    table = table_of(folder, CLEAR, sweep=sweep)
    return table, " ".join(notes(table))


def test_a_row_is_slower_where_its_whole_interval_is_5_percent_above_1(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    table, said = shown(tmp_path, timed("narrow", 1.04, 1.08), timed("wide", 1.06, 1.08, rounds=51))
    ratios = {row.name: row.measured.ratios["step_seconds"] for row in table.rows[1:]}
    assert [with_interval(ratios[row]) for row in ("narrow", "wide")] == ["(1.06 [1.04, 1.08])", "1.07 [1.06, 1.08]"]
    assert "1.07 [1.06, 1.08]" in str(cost(table)[1])
    assert "step, x: after the launch" in said
    assert "of 47-51 rounds" in said
    assert "(a made-up machine, commit abc)" in said


@pytest.mark.parametrize(("low", "high", "apart"), [(0.9, 0.94, True), (0.9, 0.96, False), (1.02, 1.03, False)])
def test_a_row_is_faster_likewise_and_a_difference_that_does_not_matter_is_none(
    low: float, high: float, apart: bool, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    table, _ = shown(tmp_path, timed("wide", low, high))
    assert table.rows[2].measured.ratios["step_seconds"].apart == apart


def test_a_row_that_was_not_timed_shows_what_its_runs_say(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    table, said = shown(tmp_path, timed("wide", 1.2, 1.21), timed("other", 1.2, 1.21))
    assert table.in_turns.keys() == {"wide"}
    assert table.rows[1].measured.ratios["step_seconds"].least == 1.0
    assert "step, x of 1 of 2 rows" in said
    assert "in turns" not in " ".join(notes(table_of(tmp_path / "none", CLEAR, sweep=table.sweep)))


def test_a_time_takes_the_place_of_an_earlier_one_of_the_same_runs(tmp_path: Path) -> None:
    assert step_times(tmp_path) == {}
    first, again, other = timed("wide", 1.1, 1.2), timed("wide", 1.3, 1.4), timed("narrow", 1.1, 1.2)
    keep_step_times(tmp_path, [first, other])
    keep_step_times(tmp_path, [again])
    assert list(step_times(tmp_path).values()) == [again, other]


def test_times_travel_with_both_of_their_runs_and_replace_none(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    ours, theirs = timed("wide", 1.1, 1.2), timed("narrow", 1.1, 1.2)
    keep_step_times(here, [ours])
    keep_step_times(there, [timed("wide", 1.3, 1.4), theirs])
    merge_step_times(here, there, among=[ours.row, theirs.row])
    assert list(step_times(here).values()) == [ours]
    merge_step_times(here, there)
    assert list(step_times(here).values()) == [ours, theirs]


@pytest.mark.parametrize(
    ("content", "fault"), [("{}", "not a list of step times"), ('[{"row": "a"}]', r"\[0\]\.baseline: is missing")]
)
def test_a_file_that_cannot_be_read_is_said_with_its_remedy(content: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / STEP_TIMES).write_text(content)
    with pytest.raises(UserError, match=f"{fault}.*; delete it, .*: rm "):
        step_times(tmp_path)
