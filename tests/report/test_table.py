"""The table as data: which numbers stand where, and when a difference may be called resolved."""

from pathlib import Path

import pytest

from mta_lab.model import count_parameters
from mta_lab.report.statistics import compare
from tests.report.examples import CLEAR, ROWS, table_of


def test_rows_hold_their_own_results(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    assert [row.name for row in table.rows] == list(ROWS)
    for row in table.rows:
        values = CLEAR[row.name]
        assert row.scores == values
        assert row.mean == pytest.approx(sum(values.values()) / 3)
        assert row.domains == pytest.approx({"github": row.mean - 1.0, "wikipedia": row.mean + 1.0})
        assert row.tokens_per_second == 1000.0
    assert table.finished == 9
    assert table.comparison == compare(CLEAR, "softmax")


def test_parameters_are_those_of_the_rows_model(tmp_path: Path) -> None:
    table = table_of(tmp_path, {})
    assert [row.parameters for row in table.rows] == [count_parameters(row.config) for row in table.sweep.rows]
    softmax, narrow, wide = (row.parameters for row in table.rows)
    assert softmax < narrow < wide


def test_contrasts_and_published_deltas(tmp_path: Path) -> None:
    softmax, narrow, wide = table_of(tmp_path, CLEAR).rows
    assert softmax.contrast is None
    assert wide.contrast is not None
    assert wide.contrast.delta == pytest.approx(-0.067, abs=0.002)
    assert (softmax.published, narrow.published, wide.published) == (11.25, None, 11.23)
    assert (softmax.reference, narrow.reference, wide.reference) == ("table2.transformer", "", "table5.12")
    assert narrow.published_delta is None
    assert wide.published_delta == pytest.approx(11.23 / 11.25 - 1)


def test_only_what_stands_out_is_resolved(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    assert [table.resolved(row) for row in table.rows] == [False, False, True]


@pytest.mark.parametrize("missing", [("wide", 1), ("softmax", 2)], ids=["of the row", "of the baseline"])
@pytest.mark.parametrize("failed", [False, True], ids=["pending", "failed"])
def test_nothing_is_resolved_while_a_seed_is_missing(missing: tuple[str, int], failed: bool, tmp_path: Path) -> None:
    row, seed = missing
    values = {name: {s: v for s, v in cells.items() if (name, s) != missing} for name, cells in CLEAR.items()}
    table = table_of(tmp_path, values, {missing: "diverged"} if failed else None)
    wide = table.rows[2]
    assert wide.contrast is not None
    assert wide.contrast.resolved, "the example must be clear enough to be resolved if it were complete"
    assert not table.resolved(wide)
    assert [failure.label for failure in table.failures] == ([f"{row} seed {seed}"] if failed else [])


def test_missing_seed_of_another_row_does_not_hold_a_row_back(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, "narrow": {0: 29.9}})
    assert table.resolved(table.rows[2])


def test_finished_cell_is_no_failure(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"softmax": {0: 30.0}}, {("softmax", 1): "killed"})
    assert table.rows[0].scores == {0: 30.0}
    assert {seed: failure.reason for seed, failure in table.rows[0].failures.items()} == {1: "killed"}
    assert table.comparison is None


def test_nothing_measured_is_nothing_but_published(tmp_path: Path) -> None:
    """A published value must never stand where a measured one belongs."""
    table = table_of(tmp_path, {})
    assert table.finished == 0
    for row in table.rows:
        assert (row.mean, row.contrast, row.tokens_per_second) == (None, None, None)
        assert not row.scores
        assert not row.domains
    assert [row.published for row in table.rows] == [11.25, None, 11.23]
    assert table.provenance == ()
