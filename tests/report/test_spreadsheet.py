"""CSV that computes nothing in a spreadsheet, and says what it was made of."""

import csv
import re
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta_lab.report.run_lines import as_csv
from mta_lab.report.spreadsheet import written
from tests.report.examples import CLEAR, renamed, table_of

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-1+1",
    "-a",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "=",
    "-inf",
    "+1e",
    "-",
]
AS_THEY_ARE = ["4x9", "a=b", " =1", "", "-1.5", "+3", "-2e-05", "1e-3", "'quoted'", "'", "it's"]
NUMBERS = [-1.5, -3, 0.25, -2e-05, 1e300, None]


def read(text: str) -> str:
    """A cell's text, by the rule that the file is written under."""
    return text[1:] if re.match(r"'+[=+\-@\t\r]", text) else text


def cells(lines: list[dict[str, object]]) -> list[list[str]]:
    return list(csv.reader(StringIO(written(lines), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(text: str) -> None:
    head, body = cells([{text: text, "b": 1}])
    assert head == ["'" + text, "b"]
    assert body == ["'" + text, "1"]


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cells([{"a": text, "b": 1}])[1] == [text, "1"]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_stay_numbers(number: float | None) -> None:
    assert cells([{"a": number, "b": 1}])[1] == ["" if number is None else repr(number), "1"]


@given(st.text("'=+-@\t\r\n,\";a1.e", max_size=6))
def test_every_text_is_read_back_and_no_cell_is_a_formula(text: str) -> None:
    (found, _) = cells([{"a": text, "b": 1}])[1]
    assert read(found) == text
    assert found[:1] not in tuple("=@\t\r")
    assert found[:1] not in tuple("+-") or float(found) < float("inf")


def test_a_table_of_hostile_names_and_reasons_is_read_back(tmp_path: Path) -> None:
    names = {"narrow": "-narrow", "wide": "@wide"}
    table = renamed(table_of(tmp_path, {**CLEAR, "wide": {0: 28.0}}, {("wide", 1): '=cmd|"/c calc"!A1'}), names)
    lines = list(csv.DictReader(StringIO(as_csv(table))))
    assert [read(line["row"]) for line in lines] == [row.name for row in table.rows for _ in range(3)]
    assert {line["row"] for line in lines} >= {"'-narrow", "'@wide"}
    assert '\'=cmd|"/c calc"!A1' in {line["failed"] for line in lines}
    assert any(float(line["row.delta"] or 0) < 0 for line in lines)
