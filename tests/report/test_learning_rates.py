"""The judgement of a ranking over learning rates."""

from pathlib import Path

import pytest

from mta_lab.report.learning_rates import verdict
from mta_lab.sweep.learning_rates import FACTORS, at_rate, over_learning_rates
from tests.report.examples import example_sweep, table_of

ROWS = ["softmax", "wide", "narrow"]
SCORES = {"softmax": (31.0, 30.0, 32.0), "wide": (28.5, 28.0, 29.0), "narrow": (29.5, 29.0, 31.0)}
"""by row, at half, once and twice the rate"""


def said(folder: Path, scores: dict[str, tuple[float | None, ...]]) -> list[str]:
    sweep = over_learning_rates(example_sweep(folder), ROWS[1:])
    found = {
        at_rate(row, factor): {seed: score + 0.1 * seed for seed in sweep.seeds}
        for row, values in scores.items()
        for factor, score in zip(FACTORS, values, strict=True)
        if score is not None
    }
    return verdict(table_of(folder, found, sweep=sweep), ROWS)


def test_ranking_that_holds(tmp_path: Path) -> None:
    lines = said(tmp_path, dict(SCORES))
    ranking = "wide < narrow < softmax"
    where = ("lr x1/2", "lr x1", "lr x2", "each row at its best")
    assert lines[:4] == [f"{each}: {ranking}" for each in where]
    assert lines[4] == "Best learning rates: softmax x1, wide x1, narrow x1."
    assert lines[5:] == [
        "The ranking of the means is the same for every choice of learning rate above; the intervals show what is "
        "resolved."
    ]


def test_ranking_that_turns_at_one_rate(tmp_path: Path) -> None:
    lines = said(tmp_path, {**SCORES, "narrow": (29.5, 29.0, 28.5)})
    assert lines[2] == "lr x2: narrow < wide < softmax"
    assert lines[3] == "each row at its best: wide < narrow < softmax"
    assert "narrow x2" in lines[4]
    assert lines[5] == "The sweep's learning rate is not the best of the three for narrow."
    assert "is not the same" in lines[-1]


def test_ranking_that_holds_with_every_best_rate_at_the_edge(tmp_path: Path) -> None:
    lines = said(tmp_path, {"softmax": (40.0, 40.5, 41.0), "wide": (25.0, 28.0, 29.0), "narrow": (26.0, 28.5, 29.5)})
    assert lines[3] == "each row at its best: wide < narrow < softmax"
    assert "The sweep's learning rate is not the best of the three for narrow, softmax, wide." in lines
    assert "is the same" in lines[-1]


@pytest.mark.parametrize("rate", range(3))
def test_ranking_without_a_result_cannot_be_told(rate: int, tmp_path: Path) -> None:
    values: list[float | None] = list(SCORES["wide"])
    values[rate] = None
    missing = at_rate("wide", list(FACTORS)[rate])
    assert said(tmp_path, {**SCORES, "wide": tuple(values)}) == [
        f"The rankings cannot be compared: not all seeds have finished of {missing}."
    ]
