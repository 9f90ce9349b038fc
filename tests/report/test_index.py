"""The index over all sweeps."""

import csv
import dataclasses
import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mta_lab.report import FORMATS, Table, render_index
from tests.report.examples import AGAIN, CLEAR, WITH_CONTROL, example_sweep, table_of


@pytest.fixture
def tables(tmp_path: Path) -> list[Table]:
    """A whole sweep with a control, and one that has hardly begun."""
    whole = table_of(tmp_path, {**CLEAR, **AGAIN}, sweep=example_sweep(tmp_path, WITH_CONTROL))
    begun = dataclasses.replace(example_sweep(tmp_path), name="begun_[x]")
    return [whole, table_of(tmp_path / "begun", {"softmax": {0: 30.0}}, sweep=begun)]


def shown(tables: list[Table], form: str, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    render_index(tables, form, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_every_sweep_is_named_in_every_format(form: str, tables: list[Table]) -> None:
    text = shown(tables, form)
    assert "widths" in text
    assert "begun_[x]" in text.replace("\\_", "_")


def test_index_counts_what_the_tables_hold(tables: list[Table]) -> None:
    whole, begun = json.loads(shown(tables, "json", width=40))
    assert (whole["rows_finished"], whole["rows_planned"]) == (4, 4)
    assert (whole["rows_published_finished"], whole["rows_published"]) == (2, 2)
    assert (whole["rows_resolved"], whole["rows_compared"]) == (1, 2)
    assert (whole["signs_same"], whole["signs_compared"], whole["tau"]) == (1, 1, None)
    assert whole["aa_passed"] is True
    assert (begun["rows_finished"], begun["rows_published_finished"], begun["rows_resolved"]) == (0, 0, 0)
    assert (begun["tau"], begun["aa_passed"], begun["aa_rows"]) == (None, None, 0)


def test_markdown_and_rich_hold_the_same_cells(tables: list[Table]) -> None:
    line = next(line for line in shown(tables, "markdown").splitlines() if line.startswith("| widths"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["widths", "nano", "4 of 4", "2 of 2", "1 of 2", "1 of 1", "1 of 1", "-", "passed"]
    drawn = next(line for line in shown(tables, "rich").splitlines() if line.strip().startswith("widths"))
    assert drawn.split() == " ".join(cells).split()


def test_csv_has_a_line_for_each_sweep(tables: list[Table]) -> None:
    lines = list(csv.DictReader(StringIO(shown(tables, "csv", width=40))))
    assert [line["sweep"] for line in lines] == ["widths", "begun_[x]"]
    assert (lines[0]["tau_low"], lines[1]["tau"]) == ("", "")


def test_no_sweeps_are_an_empty_index() -> None:
    assert json.loads(shown([], "json")) == []
    for form in FORMATS:
        shown([], form)
