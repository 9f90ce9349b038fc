"""Deltas along training: how large they are after so many tokens, and whether they still move."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.report import Table, markdown
from mta_lab.report.course import courses_of
from mta_lab.report.course_section import TITLE
from mta_lab.report.data import document
from tests.report.examples import AGAIN, CLEAR, WITH_CONTROL, example_sweep, scored_by, table_of, with_rows

TOKENS = 8 * 128  # of a step at nano


def with_validations(table: Table, row: str, validations: Mapping[int, Sequence[Sequence[float]]]) -> Table:
    """The table with other validations of a row: seed -> (step, score)."""
    rows = []
    for one in table.rows:
        records = one.measured.records
        if one.name == row:
            records = {seed: replace(record, validations=validations[seed]) for seed, record in records.items()}
        rows.append(replace(one, measured=replace(one.measured, records=records)))
    return replace(table, rows=tuple(rows))


def curve(*scores: float) -> list[list[float]]:
    return [[step, score] for step, score in zip((256, 512, 1024), scores, strict=True)]


def test_the_last_delta_is_that_of_the_table_and_one_that_stays_is_at_rest(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    found = courses_of(table)
    assert found
    assert found.tokens == (256 * TOKENS, 512 * TOKENS, 1024 * TOKENS)
    assert found.half == 512 * TOKENS
    assert list(found.rows) == ["narrow", "wide"]
    for row in table.rows[1:]:
        course = found.rows[row.name]
        deltas = [delta.delta for delta in course.deltas if delta]
        assert deltas == pytest.approx([row.measured.contrast.delta] * 3)
        assert course.late.delta == pytest.approx(0)
        assert course.state == "at rest"


def test_a_delta_that_grows_to_the_end_is_still_moving(tmp_path: Path) -> None:
    """The row is where the baseline is at 512 steps, and 7 % below it at the end."""
    grown = {seed: curve(1.2 * 30, 1.1 * score, 0.93 * score) for seed, score in CLEAR["softmax"].items()}
    course = courses_of(with_validations(table_of(tmp_path, CLEAR), "wide", grown)).rows["wide"]
    assert [round(delta.delta, 4) for delta in course.deltas[1:]] == [0.0, -0.07]
    assert course.late.delta == pytest.approx(-0.07)
    assert course.state == "moving"


def test_a_noisy_change_is_neither(tmp_path: Path) -> None:
    noisy = {seed: curve(36, 33, 30 * factor) for seed, factor in enumerate((0.93, 1.03, 0.99))}
    assert courses_of(with_validations(table_of(tmp_path, CLEAR), "wide", noisy)).rows["wide"].state == "not told"


def test_a_score_that_overflowed_is_left_out_at_its_step(tmp_path: Path) -> None:
    diverged = dict.fromkeys(range(3), curve(float("inf"), 33, 30))
    found = courses_of(with_validations(table_of(tmp_path, CLEAR), "wide", diverged))
    assert found
    assert found.tokens == (512 * TOKENS, 1024 * TOKENS)


def test_four_of_many_validations_are_shown_and_the_last_is_among_them(tmp_path: Path) -> None:
    many = [[512 * (place + 1), 40.0 - place] for place in range(10)]
    table = table_of(tmp_path, CLEAR, changes={row: {"validations": many} for row in CLEAR})
    assert courses_of(table).tokens == tuple(step * TOKENS for step in (1024, 2560, 3584, 5120))


def test_no_course_without_pairs(tmp_path: Path) -> None:
    sweep = example_sweep(tmp_path)
    one_seed = {row: {0: scores[0]} for row, scores in CLEAR.items()}
    assert courses_of(table_of(tmp_path / "one", one_seed, sweep=sweep)) is None
    longer = replace(sweep.rows[1].config, training=replace(sweep.rows[1].config.training, steps=2048))
    lengths = with_rows(sweep, narrow={"config": longer})
    assert courses_of(table_of(tmp_path / "two", CLEAR, sweep=lengths)) is None
    shares = {row: {seed: score / 100 for seed, score in of.items()} for row, of in CLEAR.items()}
    assert courses_of(table_of(tmp_path / "three", shares, sweep=scored_by(sweep, "error_rate"))) is None


def test_an_a_a_row_has_no_course(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, **AGAIN}, sweep=example_sweep(tmp_path, WITH_CONTROL))
    assert "again" not in table.courses.rows


def test_the_page_and_json_say_it(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    page = markdown(table)
    assert f"**{TITLE}, %, after so many tokens [95 %]**" in page
    assert "| wide | -6.7 [" in page
    assert "| row | 262k | 524k | 1.05M | change from 524k on | at the end |" in page
    assert "At the end, 0 rows are moving and 2 at rest; of 0 neither is told." in page
    found = document(table)["courses"]
    assert found["rows"]["wide"]["state"] == "at rest"
    assert found["rows"]["wide"]["deltas"][-1] == document(table)["rows"][2]["delta"]
