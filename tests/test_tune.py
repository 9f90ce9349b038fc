"""`tune:` in a sweep file: which values a row is tried at, and what a file may say."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import fingerprint
from mta_lab.errors import UserError
from mta_lab.report.factors import design_of
from mta_lab.sweep import Sweep, load_sweep
from mta_lab.sweep.tune import (
    STREAM,
    Curve,
    Point,
    Tune,
    apart_from_tuning,
    at_best,
    at_value,
    at_values,
    is_possible,
    tuning_sweep,
    values_of,
)
from tests.shipped import shipped

RATE = "training.learning_rate"
BRACKET = [4e-3, 8e-3, 16e-3]


def load(folder: Path, tune: Any, *settings: str, **rows: Any) -> Sweep:
    file = {
        "base": {"attention": "multi_token"},
        "rows": {"transformer": {"attention": "softmax"}, "mta": {}, **rows},
        "tune": tune,
    }
    (folder / "tuned.yaml").write_text(json.dumps(file))
    return load_sweep(str(folder / "tuned.yaml"), scale="nano", settings=settings)


def curve(*points: tuple[float, float]) -> Curve:
    return Curve(
        bracket=tuple(BRACKET), points=tuple(Point(value=value, score=score, loss=score) for value, score in points)
    )


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (8e-3, BRACKET),
        (2e-3, [1e-3, 2e-3, *BRACKET]),
        (64e-3, [*BRACKET, 32e-3, 64e-3, 128e-3]),
        (1.0, [*BRACKET, 32e-3, 64e-3, 128e-3]),
    ],
)
def test_a_bracket_widens_by_its_ratio_until_its_best_is_inside_and_three_times_at_most(
    best: float, tried: list[float]
) -> None:
    everywhere = {0.001 * 2**power: abs(0.001 * 2**power / best - 1) for power in range(-4, 12)}
    assert values_of(BRACKET, everywhere) == tried


def test_a_bracket_is_not_widened_to_a_value_that_the_setting_cannot_have(tmp_path: Path) -> None:
    config = load(tmp_path, None).rows[0].config
    falling = {0.9: 3.0, 0.95: 2.0, 0.98: 1.0}
    assert values_of([*falling], falling, possible=partial(is_possible, config, "training.beta2")) == [*falling]
    assert values_of([*falling], falling, possible=partial(is_possible, config, RATE)) == [*falling, 1.01095]


def test_a_bracket_waits_for_all_its_runs_before_it_widens() -> None:
    assert values_of(BRACKET, {4e-3: 1.0, 8e-3: 2.0}) == BRACKET


def test_a_row_starts_from_half_once_and_twice_what_it_says(tmp_path: Path) -> None:
    tuning = load(tmp_path, RATE, slow={"times": {RATE: 0.25}}).tuning
    assert tuning
    rate = load(tmp_path, None).rows[0].config.training.learning_rate
    assert tuning.curves["mta"].bracket == (rate / 2, rate, rate * 2)
    assert tuning.curves["slow"].bracket == (rate / 8, rate / 4, rate / 2)


def test_a_sweep_may_be_tuned_at_some_scales_alone(tmp_path: Path) -> None:
    tune = {RATE: "around", "scales": ["micro"]}
    assert load(tmp_path, tune).tuning is None
    load(tmp_path, tune)
    assert load_sweep(str(tmp_path / "tuned.yaml"), scale="micro").tuning


def test_a_tuned_run_is_the_run_of_one_who_writes_the_value(tmp_path: Path) -> None:
    sweep = load(tmp_path, {RATE: BRACKET})
    assert sweep.tuning
    best = replace(sweep.tuning, curves={row: curve((4e-3, 3.0), (8e-3, 2.0), (16e-3, 1.0)) for row in ("mta",)})
    by_hand = load(tmp_path, None, f"{RATE}=0.016")
    tuned = at_best(sweep, best)
    assert fingerprint(tuned.row("mta").config, "text") == fingerprint(by_hand.row("mta").config, "text")
    assert tuned.row("transformer").config == sweep.row("transformer").config
    assert tuned.row("mta").difference[RATE] == 0.016


def test_the_runs_that_choose_share_nothing_with_the_table(tmp_path: Path) -> None:
    sweep = load(tmp_path, {RATE: BRACKET, "seeds": 2}, **{"A/A": {"attention": "softmax", "stream": "A/A"}})
    assert sweep.tuning
    runs = tuning_sweep(sweep, sweep.tuning, {row: BRACKET for row in sweep.tuning.curves}).runs()
    assert len(runs) == 3 * 3 * 2
    assert {run.config.stream for run in runs} == {STREAM}
    names = {
        row: {fingerprint(run.config, "") for run in runs if run.row.startswith(f"{row},")}
        for row in sweep.tuning.curves
    }
    assert names["A/A"] == names["transformer"], "a row and its repetition are tuned by the same runs"
    assert not names["mta"] & {fingerprint(run.config, "") for run in sweep.runs()}


@pytest.mark.parametrize(
    ("tune", "settings", "said"),
    [
        (7, [], "tune: got 7, allowed: the key of a number"),
        ({RATE: BRACKET, "training.beta1": BRACKET}, [], "tune: got"),
        ({RATE: BRACKET[:2]}, [], r"tune.training.learning_rate: got \[0.004, 0.008\], allowed: 3 or more numbers"),
        ({RATE: BRACKET[::-1]}, [], "in ascending order"),
        ({RATE: [0, 1, 2]}, [], "above 0"),
        ({RATE: BRACKET, "scales": ["nanoo"]}, [], "tune.scales: no scale named 'nanoo'; did you mean 'nano'"),
        ({RATE: BRACKET, "seed": 2}, [], "the latter two also with seeds and scales beside KEY"),
        ({RATE: BRACKET, "seeds": 0}, [], "tune.seeds: got 0, allowed: 1 or more"),
        (
            "training.learning_rat",
            [],
            "tune.training.learning_rat: no number of row 'transformer' has this name; did you",
        ),
        ("training.lr", [], "has this name; did you mean 'training.learning_rate'"),
        ("attention.learning_rate", [], "has this name; did you mean 'training.learning_rate'"),
        ("training.steps", [], "no number of row 'transformer' has this name"),
        ("training.weight_decay", ["training.weight_decay=0"], "is 0.0 in row 'transformer', which no factor changes"),
        ("training.beta2", [], r"'transformer' would be tried at 1\.\d+: beta2: got .*, allowed: 0 <= beta2 < 1"),
        ({RATE: BRACKET}, [f"{RATE}=0.01"], "the command line sets it, too; leave it out there"),
    ],
)
def test_a_mistake_is_answered_in_one_line(tune: Any, settings: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as refused:
        load(tmp_path, tune, *settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("own", [{RATE: 0.01}, {"times": {RATE: 2}}])
def test_a_row_that_sets_the_value_itself_is_refused_beside_a_bracket(own: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="row 'own' sets it, too"):
        load(tmp_path, {RATE: BRACKET}, own=own)
    assert load(tmp_path, RATE, own=own).tuning


def test_the_best_value_is_known_once_every_value_has_ended() -> None:
    assert curve((4e-3, 3.0), (8e-3, 2.0), (16e-3, 2.5)).best == 8e-3
    waiting = Curve(bracket=tuple(BRACKET), points=(Point(value=4e-3, score=None, loss=None),))
    assert (waiting.best, waiting.at_the_edge) == (None, False)
    diverged = replace(
        curve((4e-3, 3.0)), points=(*curve((4e-3, 3.0)).points, Point(value=8e-3, score=None, loss=float("inf")))
    )
    assert diverged.best == 4e-3


def test_one_seed_at_each_value_is_usual() -> None:
    assert Tune(key=RATE).seeds == 1


def test_what_is_tuned_is_no_factor_of_a_table() -> None:
    sweep = shipped("components")
    rate = sweep.rows[0].config.training.learning_rate
    odd = at_values(sweep, RATE, {row.name: 2 * rate for row in sweep.rows[::2]})
    assert apart_from_tuning(odd) == {row.name: at_value(row.config, RATE, 2 * rate) for row in sweep.rows}
    columns = [design_of(apart_from_tuning(one), sweep.baseline).columns for one in (sweep, odd)]
    assert columns[0] == columns[1]


def test_a_setting_that_came_later_is_a_factor_like_any_other() -> None:
    sweep = shipped("norm_at_start")
    design = design_of({row.name: row.config for row in sweep.rows}, sweep.baseline)
    (column,) = [column for column in design.columns if "output_start: zero" in column.names]
    assert column.rows == tuple(row.name for row in sweep.rows if row.name.endswith("output from zero"))
