"""Signs, ranks and coverage beside the paper's."""

from pathlib import Path

import numpy as np
import pytest

from mta_lab.report.index import entry
from mta_lab.stats.ranks import rank_correlation
from tests.report.examples import CLEAR, WITH_CONTROL, example_sweep, table_of, with_rows


def test_only_resolved_rows_can_agree_in_sign(tmp_path: Path) -> None:
    """`narrow` is above the baseline, as in this ledger, but unresolved; `wide` is below."""
    sweep = with_rows(example_sweep(tmp_path), narrow={"published": {"perplexity": 11.5}})
    found = table_of(tmp_path, CLEAR, sweep=sweep).agreement
    assert (found.same_sign, found.resolved) == (1, 1)
    assert (found.published, found.finished, found.tau_rows) == (3, 3, 3)
    assert found.tau == pytest.approx(rank_correlation(np.array([30.03, 30.02, 28.02]), np.array([11.25, 11.5, 11.13])))
    assert found.tau_interval is None


def test_row_resolved_against_the_paper_disagrees(tmp_path: Path) -> None:
    sweep = with_rows(example_sweep(tmp_path), wide={"published": {"perplexity": 11.5}})
    found = table_of(tmp_path, CLEAR, sweep=sweep).agreement
    assert (found.same_sign, found.resolved) == (0, 1)


def test_a_published_difference_within_the_papers_noise_is_left_out_of_signs(tmp_path: Path) -> None:
    changes = {"wide": {"published": {"perplexity": 11.23}, "references": ("table5.12",)}}
    found = table_of(tmp_path, CLEAR, sweep=with_rows(example_sweep(tmp_path), **changes)).agreement
    assert (found.same_sign, found.resolved, found.undecided) == (0, 0, 1)
    assert (found.published, found.tau_rows) == (2, 2), "it keeps its place in the ranking"


def test_a_control_never_counts_as_agreement(tmp_path: Path) -> None:
    """The baseline once more, far off by bad luck, with a published value that was copied."""
    sweep = with_rows(example_sweep(tmp_path, WITH_CONTROL), again={"published": {"perplexity": 10.0}})
    scores = {**CLEAR, "again": {0: 20.0, 1: 20.2, 2: 20.1}}
    table = table_of(tmp_path, scores, sweep=sweep)
    again = table.rows[3]
    assert (again.measured.role, again.measured.resolved, again.published.value) == ("A/A", True, 10.0)
    without = table_of(tmp_path / "without", CLEAR, sweep=example_sweep(tmp_path)).agreement
    assert table.agreement == without
    assert (entry(table)["rows_compared"], entry(table)["rows_resolved"]) == (2, 1)


def test_printed_differences_have_signs_and_ranks(tmp_path: Path) -> None:
    printed = {"softmax": 0.0, "narrow": 0.02, "wide": -0.08}
    changes = {row: {"published": {"perplexity_difference": value}} for row, value in printed.items()}
    found = table_of(tmp_path, CLEAR, sweep=with_rows(example_sweep(tmp_path), **changes)).agreement
    assert (found.same_sign, found.resolved, found.published) == (1, 1, 3)
    assert found.tau == pytest.approx(1 / 3)


def test_unfinished_rows_are_published_and_not_covered(tmp_path: Path) -> None:
    found = table_of(tmp_path, {"softmax": CLEAR["softmax"], "wide": {0: 28.0}}).agreement
    assert (found.published, found.finished, found.resolved) == (2, 1, 0)
    empty = table_of(tmp_path / "nothing", {}, sweep=example_sweep(tmp_path)).agreement
    assert (empty.published, empty.finished, empty.tau) == (2, 0, None)
