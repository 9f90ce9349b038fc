"""Signs, ranks and coverage beside the paper's."""

from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.report.agreement import agreement_of
from mta_lab.report.index import entry
from mta_lab.report.notes import notes
from tests.report.examples import CLEAR, FILE, WITH_CONTROL, example_sweep, table_of, with_rows


def test_only_resolved_rows_can_agree_in_sign(tmp_path: Path) -> None:
    """`narrow` is above the baseline, as in this ledger, but unresolved; `wide` is below."""
    sweep = with_rows(example_sweep(tmp_path), narrow={"published": {"perplexity": 11.5}})
    found = table_of(tmp_path, CLEAR, sweep=sweep).agreement
    assert (found.same_sign, found.resolved) == (1, 1)
    assert (found.published, found.finished, found.rows) == (3, 3, 3)
    assert found.tau.value == pytest.approx(1 / 3)
    assert found.tau.interval is None, "three rows are too few"


def test_row_resolved_against_the_paper_disagrees(tmp_path: Path) -> None:
    sweep = with_rows(example_sweep(tmp_path), wide={"published": {"perplexity": 11.5}})
    found = table_of(tmp_path, CLEAR, sweep=sweep).agreement
    assert (found.same_sign, found.resolved) == (0, 1)


def test_a_published_difference_within_the_papers_noise_is_left_out_of_signs(tmp_path: Path) -> None:
    changes = {"wide": {"published": {"perplexity": 11.23}, "references": ("table5.12",)}}
    found = table_of(tmp_path, CLEAR, sweep=with_rows(example_sweep(tmp_path), **changes)).agreement
    assert (found.same_sign, found.resolved, found.undecided) == (0, 0, 1)
    assert (found.published, found.rows) == (2, 2), "it keeps its place in the ranking"


def test_the_sign_is_that_of_the_look_that_called_the_row(tmp_path: Path) -> None:
    """`wide` was better at an early look, as in the paper, and is not at the last one."""
    table = table_of(tmp_path, CLEAR)
    rows = [
        replace(row, measured=replace(row.measured, contrast=replace(row.measured.contrast, delta=0.01)))
        if row.name == "wide"
        else row
        for row in table.rows
    ]
    assert rows[2].measured.verdict == "better"
    found = agreement_of(rows, table.comparison)
    assert (found.same_sign, found.resolved) == (1, 1)


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
    assert found.tau.value == pytest.approx(1 / 3)


def test_unfinished_rows_are_published_and_not_covered(tmp_path: Path) -> None:
    found = table_of(tmp_path, {"softmax": CLEAR["softmax"], "wide": {0: 28.0}}).agreement
    assert (found.published, found.finished, found.resolved) == (2, 1, 0)
    empty = table_of(tmp_path / "nothing", {}, sweep=example_sweep(tmp_path)).agreement
    assert (empty.published, empty.finished, empty.tau) == (2, 0, None)


def test_the_intervals_of_correlation_and_tau_leave_out_the_noise_on_both_sides(tmp_path: Path) -> None:
    """Four rows in the paper's order: with 25 times the noise, less is known of the ranking."""
    rows = {"softmax": 0.0, "narrow": -0.03, "wide": -0.08, "fourth": -0.11}
    sweep = example_sweep(tmp_path, FILE + "  fourth: {attention.norm: none}\n")
    printed = {row: {"published": {"perplexity": 11.0 * (1 + delta)}} for row, delta in rows.items()}
    noise = ((0.001, -0.001, 0.0), (-0.002, 0.001, 0.001), (0.001, 0.001, -0.002), (0.0, -0.001, 0.001))

    def lows(times: float, folder: str) -> tuple[float, float]:
        scores = {
            row: {seed: 30.0 * (1 + delta + times * noise[place][seed]) for seed in range(3)}
            for place, (row, delta) in enumerate(rows.items())
        }
        found = table_of(tmp_path / folder, scores, sweep=with_rows(sweep, **printed)).agreement
        assert found.tau.value == 1.0
        return found.tau.interval[0], found.correlation.interval[0]

    assert lows(1, "quiet") == (1.0, pytest.approx(1.0, abs=0.005))
    assert max(lows(25, "noisy")) < 0.96


def test_signs_stand_beside_what_a_blind_guess_scores(tmp_path: Path) -> None:
    """The paper's deltas are all better than the baseline: agreeing with them says nothing."""
    sweep = with_rows(example_sweep(tmp_path), narrow={"published": {"perplexity": 11.0}})
    table = table_of(tmp_path, {**CLEAR, "narrow": {0: 33.0, 1: 33.3, 2: 32.9}}, sweep=sweep)
    found = table.agreement
    assert (found.same_sign, found.resolved, found.published_better, found.chance) == (1, 2, 2, 1.0)
    assert (
        "1 of 2 resolved rows agree in sign; to say that each improves on its baseline agrees in 2, and signs at "
        "random agree as often in 100% of draws" in " ".join(notes(table))
    )
