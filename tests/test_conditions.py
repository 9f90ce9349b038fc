"""`if:` in a row: where it stands, why it is left out, and what is said about a bad condition."""

from pathlib import Path
from typing import Any

import pytest

from mta_lab.errors import UserError
from mta_lab.report.notes import notes
from mta_lab.sweep import Sweep
from tests.report.examples import table_of
from tests.test_sweep import load


def conditioned(folder: Path, condition: Any, *settings: str, **row: Any) -> Sweep:
    rows = {"base": {}, "other": {"training.epsilon": 1e-7, "if": condition, **row}}
    return load(folder, {"rows": rows}, *settings)


@pytest.mark.parametrize(
    ("condition", "stands"),
    [
        ("model.layers >= 4", True),
        ("model.layers > 4", False),
        ("model.layers<=4", True),
        ("model.layers == 4", True),
        ("model.layers != 4", False),
        ("attention == softmax", True),
        ("attention.name != softmax", False),
        ("training.learning_rate < 1.0e-9", False),
        ("model.layers >= 4 and model.layers < 4", False),
        ("model.layers >= 5 or attention == softmax", True),
        ("training.compiled == true", True),
        ("data.path == null", True),
    ],
)
def test_a_row_stands_where_its_condition_holds(condition: str, stands: bool, tmp_path: Path) -> None:
    sweep = conditioned(tmp_path, condition, "model.layers=4", "attention=softmax")
    assert [row.name for row in sweep.rows] == ["base", "other"][: 1 + stands]
    assert list(sweep.left_out) == ["other"][stands:]


def test_a_row_that_is_left_out_says_why(tmp_path: Path) -> None:
    sweep = conditioned(tmp_path, "model.layers >= 12 and attention == softmax", "model.layers=4")
    assert sweep.left_out_notes == [
        "Row 'other' is left out: its condition `model.layers >= 12 and attention == softmax` does not hold: "
        "model.layers is 4, attention is softmax."
    ]


def test_a_condition_is_on_the_row_itself(tmp_path: Path) -> None:
    row = {"attention": {"name": "multi_token", "norm": "gate"}}
    assert conditioned(tmp_path, "attention.norm == gate", **row).left_out == {}
    assert [*conditioned(tmp_path, "attention.norm == none", **row).left_out] == ["other"]
    times = {"times": {"model.layers": 3}}
    assert conditioned(tmp_path, "model.layers == 12", "model.layers=4", times={"model.width": 1}).left_out
    assert conditioned(tmp_path, "model.layers >= 5", **times).left_out == {}


def test_a_row_that_is_impossible_where_its_condition_does_not_hold_is_left_out(tmp_path: Path) -> None:
    row = {"attention": {"name": "multi_token", "pre_softmax": [{"name": "key_query", "layers": [12]}]}}
    assert [*conditioned(tmp_path, "model.layers >= 12", "model.layers=4", **row).left_out] == ["other"]
    with pytest.raises(UserError, match=r"attention.*layers"):
        conditioned(tmp_path, "model.layers >= 2", "model.layers=4", **row)


def test_each_row_of_a_grid_has_the_condition(tmp_path: Path) -> None:
    row = {"grid": {"training.beta2": [0.9, 0.99]}, "if": "training.beta2 > 0.95"}
    sweep = load(tmp_path, {"rows": {"base": {}, "beta": row}})
    assert [row.name for row in sweep.rows] == ["base", "beta 0.99"]
    assert [*sweep.left_out] == ["beta 0.9"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (True, "rows.other: if: got true, allowed: SETTING =="),
        (12, "rows.other: if: got 12, allowed: SETTING =="),
        ("model.layers", "rows.other: if: got 'model.layers', allowed: SETTING =="),
        ("model.layers >= ", "rows.other: if: got 'model.layers >=', allowed"),
        ("model.layers > 3 > 2", "rows.other: if: model.layers > 3 > 2: model.layers is 4 here; allowed: numbers"),
        ("model.layers >= .nan", "rows.other: if: got 'model.layers >= .nan', allowed: SETTING =="),
        ("model.layers >= 1e400", "rows.other: if: got 'model.layers >= 1e400', allowed: SETTING =="),
        ("model.layers = 12", "rows.other: if: got 'model.layers = 12', allowed"),
        ("not model.layers == 12", "rows.other: if: got 'not model.layers == 12', allowed"),
        ("__import__('os').abort() == 1", "rows.other: if: got '__import__"),
        ("model.layer >= 12", "rows.other: if: model.layer: the row has no setting of this name; did you mean"),
        ("attention >= 12", "rows.other: if: attention >= 12: attention is softmax here; allowed: numbers"),
        ("model.layers == twelve", "model.layers == twelve: model.layers is 4 here; allowed: a value of its type"),
        ("model.layers > 1 and model.layers < 3 or attention == softmax", "by `and` and by `or`; allowed: one of"),
    ],
)  # fmt: skip
def test_a_bad_condition_is_refused(condition: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        conditioned(tmp_path, condition, "model.layers=4", "attention=softmax")
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'norms.yaml'}: ")


@pytest.mark.parametrize("key", ["baseline", "against"])
def test_a_row_is_compared_with_no_row_that_is_left_out(key: str, tmp_path: Path) -> None:
    rows: dict[str, Any] = {"base": {}, "deep": {"training.epsilon": 1e-7, "if": "model.layers >= 1000"}}
    file = {"rows": {**rows, "a": {"against": "deep", "training.epsilon": 1e-6}}} if key == "against" else {
        "rows": rows, "baseline": "deep"}  # fmt: skip
    with pytest.raises(
        UserError, match=f"{key}: row 'deep' is left out: its condition .* does not hold: model.layers is"
    ):
        load(tmp_path, file)


def test_the_first_row_is_no_baseline_where_it_is_left_out(tmp_path: Path) -> None:
    rows = {"deep": {"training.epsilon": 1e-7, "if": "model.layers >= 1000"}, "base": {}}
    with pytest.raises(UserError, match="baseline: row 'deep' is left out"):
        load(tmp_path, {"rows": rows})


def test_the_table_says_which_rows_are_left_out(tmp_path: Path) -> None:
    sweep = conditioned(tmp_path, "model.layers >= 1000")
    assert set(sweep.left_out_notes) <= set(notes(table_of(tmp_path, {"base": {0: 30.0}}, sweep=sweep)))
