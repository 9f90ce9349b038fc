"""The notes on the text: an imported tokenizer is named, and text that is read often is said."""

from pathlib import Path
from typing import Any

import pytest

from mta_lab.report import Table
from mta_lab.report.notes import notes
from mta_lab.report.text import often, text_notes
from tests.report.examples import CLEAR, FILE, example_sweep, table_of

TOKENIZER = "tokenizer.model (sha256 82e9d31979e92ab9), of 128,256 entries"
ORIGIN = {"machine": "a made-up machine", "threads": 1, "torch": "0", "commit": "none"}


def reading(folder: Path, tokens: str | None, **text: Any) -> Table:
    """A table whose rows have read a text of which their records say `text`."""
    sweep = example_sweep(folder, FILE.replace("base: {", f"base: {{data.tokens: {tokens}, ") if tokens else FILE)
    changed = {"provenance": {**ORIGIN, **text}}
    return table_of(folder, CLEAR, sweep=sweep, changes={row.name: changed for row in sweep.rows})


def test_an_imported_tokenizer_is_named(tmp_path: Path) -> None:
    table = reading(tmp_path, "tokens", tokenizer=TOKENIZER)
    assert f"Tokenizer: {TOKENIZER}." in notes(table)


def test_the_products_own_tokenizer_is_not(tmp_path: Path) -> None:
    assert list(text_notes(reading(tmp_path, None, tokenizer="trained on this text"))) == []


@pytest.mark.parametrize(
    ("passes", "lines"),
    [
        ({"github": 12.34, "c4": 3.0}, ["A run reads its training text more than 4 times over (github 12.3 passes)"]),
        ({"github": 3.9, "c4": 4.0}, []),
        (None, []),
        ({"github": "often"}, []),
        ("many", []),
    ],
)
def test_many_passes_over_a_domain_are_said(passes: Any, lines: list[str], tmp_path: Path) -> None:
    found = list(text_notes(reading(tmp_path, None, passes=passes)))
    assert found == [f"{line}: repeated text teaches less than new text." for line in lines]


def test_domains_that_are_read_often_are_listed_by_name() -> None:
    assert "(b 5.0, c 9.5 passes)" in often({"c": 9.5, "b": 5.0, "a": 4.0})
