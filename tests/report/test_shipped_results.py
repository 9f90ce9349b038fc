"""Tables that ship with the project are of today's code, or say that they are not."""

import json
from pathlib import Path

import pytest

from mta_lab.config import ENGINE
from mta_lab.sweep.files import SHIPPED

TABLES = sorted(Path(str(SHIPPED)).glob("results/*.json"))


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_a_shipped_table_of_other_code_is_marked_stale(file: Path) -> None:
    """A table without fingerprints is of a version before them; one of another engine carries its number."""
    table = json.loads(file.read_text(encoding="utf-8"))
    runs = [run for row in table["rows"] for run in (row.get("runs") or {}).values()]
    current = bool(runs) and all(run.get("fingerprint") and run.get("engine") == ENGINE for run in runs)
    marked = "stale" in table
    assert current or marked
    assert marked == ("**Stale**" in file.with_suffix(".md").read_text(encoding="utf-8"))


def test_there_are_shipped_tables() -> None:
    assert len(TABLES) >= 14
