"""Notes on what a table takes for granted: pairs by seed, and a baseline that equals itself."""

from pathlib import Path

from mta_lab.report.controls import controls_note, pairing, pairing_note
from mta_lab.report.data import document
from tests.report.examples import AGAIN, CLEAR, FILE, WITH_CONTROL, example_sweep, scored_by, table_of

APART = {
    "softmax": {0: 30.0, 1: 30.3, 2: 29.8},
    "narrow": {0: 29.9, 1: 29.75, 2: 30.4},
    "wide": {0: 28.2, 1: 27.85, 2: 28.0},
}
"""as in CLEAR, with each row's seeds in another order"""


def test_rows_that_share_a_seeds_luck_say_by_how_much_pairing_helps(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    (note,) = pairing_note(table)
    assert f"would have {pairing(table).times:.1f} times the variance" in note
    assert "do not show" not in note
    assert document(table)["pairing"]["chance"] == pairing(table).chance < 0.05


def test_rows_that_share_nothing_are_said_not_to(tmp_path: Path) -> None:
    (note,) = pairing_note(table_of(tmp_path, APART))
    assert note.endswith("the rows do not show that a seed means the same to them.")


def test_an_a_a_row_is_no_part_of_the_pairing_and_says_what_it_would_show(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, **AGAIN}, sweep=example_sweep(tmp_path, WITH_CONTROL))
    assert pairing(table) == pairing(table_of(tmp_path / "without", CLEAR, sweep=example_sweep(tmp_path)))
    (note,) = controls_note(table)
    assert "passed" in note
    assert "A false difference shows here from " in note


def test_a_baseline_by_another_implementation_is_an_a_a_row_that_is_tested_in_pairs(tmp_path: Path) -> None:
    """Its seeds' luck is the baseline's, which would hide a difference of 0.3 % without pairs."""
    rounded = {0: 30.09, 1: 30.39, 2: 29.89}
    sweep = example_sweep(tmp_path, FILE + "  rounded: {attention: {name: softmax, impl: eager}}\n")
    table = table_of(tmp_path, {**CLEAR, "rounded": rounded}, sweep=sweep)
    measured = table.rows[-1].measured
    assert (measured.role, measured.passed) == ("A/A", False)
    (note,) = controls_note(table)
    assert note.startswith("A/A row rounded: softmax again, under the same seeds by another implementation")
    assert "FAILED" in note
    assert table.agreement.published == 2, "it is no row of the paper"
    assert "rounded" not in table.courses.rows


def test_error_rates_and_few_rows_are_not_paired(tmp_path: Path) -> None:
    rates = {row: {seed: score / 100 for seed, score in scores.items()} for row, scores in CLEAR.items()}
    table = table_of(tmp_path, rates, sweep=scored_by(example_sweep(tmp_path), "error_rate"))
    assert (pairing_note(table), document(table)["pairing"]) == ([], None)
    assert pairing_note(table_of(tmp_path / "few", {"softmax": {0: 30.0}}, sweep=example_sweep(tmp_path))) == []
