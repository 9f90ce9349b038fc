"""What the four formats show: the same numbers, what is missing, and nothing published in a measured place."""

import dataclasses
import json
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mta_lab.records import Records
from mta_lab.report import FORMATS, Table, build_table, render
from mta_lab.report.render import PICTURE_WIDTH
from tests.report.examples import CLEAR, IMPLEMENTATIONS, ROWS, finish, table_of


def shown(table: Table, form: str, width: int = 250) -> str:
    console = Console(file=StringIO(), width=width)
    render(table, form, console)
    assert isinstance(console.file, StringIO)
    return unescape(console.file.getvalue()).replace("\xa0", " ")  # svg escapes, and keeps spaces from folding


def document(table: Table) -> dict[str, Any]:
    """The JSON form, strictly read: NaN and Infinity are no JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads(shown(table, "json", width=40), parse_constant=refuse)
    return found


def line_of(text: str, row: str) -> str:
    """The line of the table that starts with `row`."""
    (line,) = (line for line in text.splitlines() if line.strip(" |│").startswith(row + " "))
    return line


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_every_number_is_in_its_rows_line(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    text = shown(table, form)
    assert "Kernel widths" in text
    assert "nano" in text
    for row in table.rows:
        line = line_of(text, row.name)
        numbers = [f"{row.parameters:,}", f"{row.mean:.2f}", *(f"{value:.2f}" for value in row.scores.values())]
        if row.contrast:
            numbers += [f"{row.contrast.delta:+.2%}", f"{row.contrast.low:+.2%}", f"{row.contrast.high:+.2%}"]
        if row.published:
            numbers.append(f"{row.published:.2f}")
        numbers.append(" + ".join(IMPLEMENTATIONS[row.name]))
        assert [number for number in numbers if number not in line] == []


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_only_resolved_rows_are_marked(form: str, tmp_path: Path) -> None:
    text = shown(table_of(tmp_path, CLEAR), form)
    assert ["*" in line_of(text, row) for row in ROWS] == [False, False, True]


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_pending_and_failed_cells_are_told_apart(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, "wide": {0: 28.0}}, {("wide", 1): "loss is nan at step 7"})
    text = shown(table, form)
    line = line_of(text, "wide")
    assert (line.count("failed"), line.count("pending")) == (1, 1)
    assert "*" not in line
    assert "7 of 9 cells finished" in text
    assert "wide seed 1: loss is nan at step 7" in text


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_published_value_stands_in_no_measured_column(form: str, tmp_path: Path) -> None:
    text = shown(table_of(tmp_path, {}), form)
    for row, published in zip(ROWS, ("11.25", None, "11.23"), strict=True):
        line = line_of(text, row)
        assert line.count("pending") == 3
        assert line.count("11.2") == (1 if published else 0)
        assert published is None or published in line
    assert "0 of 9 cells finished" in text


def test_rows_of_three_seeds_are_lines_of_the_picture(tmp_path: Path) -> None:
    """The longest names and numbers of the README's table do not wrap at its width."""
    table = table_of(tmp_path, CLEAR)
    names = {"softmax": "transformer"}
    rows = [dataclasses.replace(r, name=names.get(r.name, r.name), tokens_per_second=19_401.0) for r in table.rows]
    sweep = dataclasses.replace(table.sweep, baseline="transformer")
    text = shown(dataclasses.replace(table, sweep=sweep, rows=tuple(rows)), "rich", PICTURE_WIDTH)
    for row in rows:
        assert line_of(text, row.name).rstrip().endswith(f"19,401  {row.implementation:>16}")
    assert "%] *" in line_of(text, "wide")


def test_seeds_of_several_implementations_are_all_shown(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"softmax": {0: 30.0, 1: 30.2}})
    assert [row.implementation for row in table.rows] == ["sdpa", "", ""]
    records = Records(tmp_path / "results")
    finish(records, "softmax-1", 30.2, table.sweep.rows[0].config, "own")
    names = {("softmax", 0): "softmax-0", ("softmax", 1): "softmax-1"}
    assert build_table(table.sweep, names, records).rows[0].implementation == "own, sdpa"


def test_markdown_is_one_table_of_equal_rows(tmp_path: Path) -> None:
    lines = [line for line in shown(table_of(tmp_path, CLEAR), "markdown").splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(ROWS)
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_reader_is_warned_and_told_where_it_was_measured(form: str, tmp_path: Path) -> None:
    text = " ".join(shown(table_of(tmp_path, CLEAR), form).split())
    assert "not comparable with the paper" in text
    assert "a made-up machine" in text
    assert "Holm" in text
    assert "4 degrees of freedom" in text


def test_json_holds_the_tables_numbers(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    found = document(table)
    assert (found["sweep"], found["scale"], found["baseline"]) == ("widths", "nano", "softmax")
    assert found["seeds"] == [0, 1, 2]
    assert table.comparison is not None
    assert (found["noise"], found["degrees_of_freedom"]) == (table.comparison.noise, 4)
    for written, row in zip(found["rows"], table.rows, strict=True):
        assert written["row"] == row.name
        assert written["scores"] == {str(seed): value for seed, value in row.scores.items()}
        assert written["mean"] == row.mean
        assert written["parameters"] == row.parameters
        assert written["published"] == row.published
        assert written["impl"] == " + ".join(IMPLEMENTATIONS[row.name])
        assert written["resolved"] is table.resolved(row)
        if row.contrast:
            assert written["delta"] == row.contrast.delta
            assert written["interval"] == [row.contrast.low, row.contrast.high]
            assert written["p_holm"] == row.contrast.p


def test_json_without_results_has_published_values_only(tmp_path: Path) -> None:
    found = document(table_of(tmp_path, {}, {("wide", 0): "killed"}))
    assert found["noise"] is None
    measured = ("mean", "delta", "interval", "p_holm", "tokens_per_second", "impl")
    for row in found["rows"]:
        assert [row[key] for key in measured] == [None] * len(measured)
        assert (row["scores"], row["domains"], row["resolved"]) == ({}, {}, False)
    assert [row["published"] for row in found["rows"]] == [11.25, None, 11.23]
    assert found["rows"][2]["failed"] == {"0": "killed"}


def test_json_of_equal_results_is_json(tmp_path: Path) -> None:
    document(table_of(tmp_path, {row: {0: 30.0, 1: 30.0, 2: 30.0} for row in ROWS}))


@pytest.mark.parametrize("form", FORMATS)
def test_brackets_are_no_markup(form: str, tmp_path: Path) -> None:
    failed = table_of(tmp_path, {"softmax": {0: 30.0}}, {("wide", 0): "got [red] [/none]"})
    assert "got [red] [/none]" in shown(failed, form)


@pytest.mark.parametrize("form", FORMATS)
def test_odd_row_names_are_shown_as_they_are(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, {"softmax": {0: 30.0}})
    rows = (*table.rows[:-1], dataclasses.replace(table.rows[-1], name="[/x] [red]é[/red]"))
    assert "[/x] [red]é[/red]" in shown(dataclasses.replace(table, rows=rows), form).replace("\\u00e9", "é")
