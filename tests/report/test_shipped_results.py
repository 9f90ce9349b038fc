"""The tables that ship are what their sweeps would come to today, or say that they are not."""

from pathlib import Path

import pytest

from mta_lab.report.stale import MARK, SHOWN, changed_since_written, read
from mta_lab.sweep.files import SHIPPED

TABLES = sorted(Path(str(SHIPPED)).glob("results/*.json"))


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_a_shipped_table_of_other_runs_than_todays_is_marked(file: Path) -> None:
    """`mta-lab results mark sweeps/results/*.json` marks them."""
    table = read(file)
    found = changed_since_written(table)
    assert table.get(SHOWN, "") == "; ".join(found)
    drawn = file.with_suffix(".md").read_text(encoding="utf-8")
    assert [line.partition("; not")[0] for line in drawn.splitlines() if line.startswith(MARK)] == [
        f"{MARK}: {why}" for why in ["; ".join(found)] if why
    ]


def test_there_are_shipped_tables() -> None:
    assert len(TABLES) >= 14


def signatures() -> dict[str, dict[str, set[str]]]:
    """Return the arithmetic of the unmarked tables: part -> its bits -> tables with such runs."""
    found: dict[str, dict[str, set[str]]] = {}
    for file in TABLES:
        table = read(file)
        runs = [] if table.get(SHOWN) else [run for row in table["rows"] for run in row["runs"].values()]
        for run in runs:
            assert run["arithmetic"], f"{file.stem}: a run does not say in which arithmetic it was computed"
            for part, bits in run["arithmetic"].items():
                found.setdefault(part, {}).setdefault(bits, set()).add(file.stem)
    return found


def test_all_shipped_tables_that_are_not_marked_have_one_arithmetic() -> None:
    """Rounding alone moves runs: a table that was computed otherwise is to be trained anew."""
    mixed = {part: tables for part, tables in signatures().items() if len(tables) > 1}
    assert not mixed
