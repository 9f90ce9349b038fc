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
