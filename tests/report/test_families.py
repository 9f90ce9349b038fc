"""Claims over several tables: how many, at which level, and which do not hold over all."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mta_lab.report import Table, render_index
from mta_lab.report.families import families_note, families_of, holds
from tests.report.examples import CLEAR, example_sweep, table_of

CLOSE = {**CLEAR, "wide": {0: 29.4, 1: 29.85, 2: 29.2}}
"""`wide` is resolved in a table of its own, not beyond the doubt that several tables bring"""


def tables(folder: Path, count: int) -> list[Table]:
    """Return tables of the same rows under other names, the first of them with a close verdict."""
    sweeps = [replace(example_sweep(folder), name=f"sweep{place}") for place in range(count)]
    return [table_of(folder / sweep.name, CLEAR if place else CLOSE, sweep=sweep) for place, sweep in enumerate(sweeps)]


def test_a_verdict_of_one_table_may_not_hold_over_many(tmp_path: Path) -> None:
    found = tables(tmp_path, 12)
    close, clear = (table.rows[2].measured for table in found[:2])
    assert close.resolved
    assert clear.resolved
    assert (holds(close, 1), holds(close, 12), holds(clear, 12)) == (True, False, True)
    families = families_of(found)
    assert (families.count, families.comparisons) == (12, 24)
    assert "sweep0: wide" in families.own
    assert "sweep1: wide" not in families.own
    assert "sweep1: narrow" in families.own, "equal, by itself"
    assert families.chance == pytest.approx(0.46, abs=0.005)


def test_the_index_says_how_many_claims_it_makes_and_which_to_keep(tmp_path: Path) -> None:
    found = tables(tmp_path, 12)
    console = Console(file=StringIO(), width=200)
    render_index(found, "json", console)
    lines = json.loads(console.file.getvalue())
    assert [(line["verdicts"], line["verdicts_over_all"]) for line in lines[:2]] == [(2, 0), (2, 1)]
    note = families_note(families_of(found))
    assert note.startswith("24 comparisons in 12 sweeps")
    assert "up to 46% of such reports" in note
    assert "Those that do not: sweep0: narrow; sweep0: wide; sweep1: narrow" in note


def test_one_table_is_one_family_and_needs_no_note(tmp_path: Path) -> None:
    assert families_note(families_of(tables(tmp_path, 1))) == ""
