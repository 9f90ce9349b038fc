"""The statistics against textbook formulas, written out here independently of any regression."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from mta_lab.report.statistics import Comparison, compare

Cells = dict[str, dict[int, float]]


def made_up(rows: int, seeds: int, *, generator: np.random.Generator, effects: Sequence[float] = ()) -> Cells:
    """Perplexities around 20: a seed effect of 2 %, noise of 1 %, and the effects of the first rows after the base."""
    seed_effects = generator.normal(0, 0.02, seeds)
    row_effects = [0.0, *effects, *[0.0] * (rows - 1 - len(effects))]
    logs = math.log(20) + np.add.outer(row_effects, seed_effects) + generator.normal(0, 0.01, (rows, seeds))
    return {f"row {i}": {j: math.exp(logs[i, j]) for j in range(seeds)} for i in range(rows)}


def two_way(cells: Cells) -> tuple[dict[str, float], float, int]:
    """Row means, residual mean square and its degrees of freedom of a complete table, by sums of squares."""
    logs = np.log([[row[seed] for seed in sorted(row)] for row in cells.values()])
    rows, seeds = logs.shape
    total = ((logs - logs.mean()) ** 2).sum()
    between_rows = seeds * ((logs.mean(axis=1) - logs.mean()) ** 2).sum()
    between_seeds = rows * ((logs.mean(axis=0) - logs.mean()) ** 2).sum()
    degrees = (rows - 1) * (seeds - 1)
    means = dict(zip(cells, logs.mean(axis=1).tolist(), strict=True))
    return means, (total - between_rows - between_seeds) / degrees, degrees


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjustment, step by step from the smallest."""
    adjusted, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = running
    return adjusted


def compared(cells: Cells, baseline: str = "row 0") -> Comparison:
    found = compare(cells, baseline)
    assert found is not None
    return found


@pytest.mark.parametrize(("rows", "seeds"), [(2, 2), (2, 5), (3, 2), (5, 3), (4, 8)])
def test_complete_table_agrees_with_two_way_analysis(rows: int, seeds: int) -> None:
    cells = made_up(rows, seeds, generator=np.random.default_rng(rows * 100 + seeds), effects=[-0.02])
    means, mean_square, degrees = two_way(cells)
    found = compared(cells)
    assert found.degrees == degrees == (rows - 1) * (seeds - 1)
    assert found.noise == pytest.approx(math.expm1(math.sqrt(mean_square)))
    error = math.sqrt(2 * mean_square / seeds)
    plain = {}
    for row, contrast in found.contrasts.items():
        effect = means[row] - means["row 0"]
        reach = stats.t.ppf(0.975, degrees) * error
        assert contrast.delta == pytest.approx(math.expm1(effect))
        assert (contrast.low, contrast.high) == pytest.approx((math.expm1(effect - reach), math.expm1(effect + reach)))
        plain[row] = 2 * stats.t.sf(abs(effect) / error, degrees)
    assert {row: contrast.p for row, contrast in found.contrasts.items()} == pytest.approx(holm(plain))


def test_two_rows_are_a_paired_t_test() -> None:
    cells = made_up(2, 6, generator=np.random.default_rng(1), effects=[0.01])
    base, other = (np.log([cells[row][seed] for seed in range(6)]) for row in ("row 0", "row 1"))
    (contrast,) = compared(cells).contrasts.values()
    expected = stats.ttest_rel(other, base)
    assert contrast.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (contrast.low, contrast.high) == pytest.approx((math.expm1(interval.low), math.expm1(interval.high)))


def test_worked_example() -> None:
    """Rows 100, 110 and 100, 121: differences of ln are 0 and ln 1.1, so t = 1 with one degree of freedom, p = 1/2."""
    found = compared({"base": {0: 100.0, 1: 110.0}, "other": {0: 100.0, 1: 121.0}}, "base")
    (contrast,) = found.contrasts.values()
    assert found.degrees == 1
    assert contrast.delta == pytest.approx(math.sqrt(1.1) - 1)
    assert contrast.p == pytest.approx(0.5)
    assert not contrast.resolved


def test_scale_of_perplexity_does_not_matter() -> None:
    cells = made_up(3, 3, generator=np.random.default_rng(2), effects=[0.03])
    tenfold = {row: {seed: 10 * value for seed, value in values.items()} for row, values in cells.items()}
    for row, contrast in compared(cells).contrasts.items():
        again = compared(tenfold).contrasts[row]
        assert (again.delta, again.p) == pytest.approx((contrast.delta, contrast.p))


def test_seed_effects_cancel() -> None:
    """Seeds far apart widen nothing: the pairing takes them out."""
    cells = made_up(3, 4, generator=np.random.default_rng(3))
    shifted = {row: {seed: value * 2.0**seed for seed, value in values.items()} for row, values in cells.items()}
    assert compared(shifted).noise == pytest.approx(compared(cells).noise)


def test_missing_cells_lose_degrees_and_keep_pairs() -> None:
    cells = made_up(4, 4, generator=np.random.default_rng(4))
    del cells["row 2"][3], cells["row 3"][0]
    assert compared(cells).degrees == 3 * 3 - 2
    # a seed that a row lacks says nothing about that row: without noise its effect is exact
    exact = {f"row {i}": {j: 20.0 * 1.1**i * 1.3**j for j in range(4)} for i in range(3)}
    del exact["row 2"][3], exact["row 1"][0]
    contrasts = compared(exact).contrasts
    assert contrasts["row 1"].delta == pytest.approx(0.1)
    assert contrasts["row 2"].delta == pytest.approx(0.21)


def test_row_without_results_is_left_out() -> None:
    cells = made_up(3, 3, generator=np.random.default_rng(5))
    with_empty = {**cells, "row 9": {}}
    assert compared(with_empty) == compared(cells)


@pytest.mark.parametrize(
    "cells",
    [
        {},
        {"base": {0: 20.0, 1: 21.0}},
        {"base": {0: 20.0}, "other": {0: 21.0}},
        {"base": {}, "other": {0: 21.0, 1: 20.0}, "third": {0: 20.0, 1: 20.5}},
        {"other": {0: 21.0, 1: 20.0}, "third": {0: 20.0, 1: 20.5}},
        {"base": {0: 20.0, 1: 21.0}, "other": {0: 20.0}},
        pytest.param(
            {"base": {0: 20.0, 1: 21.0}, "other": {2: 20.0, 3: 19.0}},
            marks=pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient"),
        ),
    ],
    ids=["nothing", "one row", "one seed", "base not finished", "no base", "no residual", "no common seed"],
)
def test_too_few_cells_give_no_verdict(cells: Cells) -> None:
    assert compare(cells, "base") is None


def test_real_effects_are_resolved() -> None:
    cells = made_up(4, 3, generator=np.random.default_rng(6), effects=[-0.1, 0.1])
    contrasts = compared(cells).contrasts
    assert [contrast.resolved for contrast in contrasts.values()] == [True, True, False]
    assert contrasts["row 1"].high < 0 < contrasts["row 2"].low


@pytest.mark.parametrize(("rows", "seeds"), [(2, 3), (6, 3)])
def test_false_alarms_are_as_rare_as_promised(rows: int, seeds: int) -> None:
    """Under noise alone a table shows any resolved row in at most 5 % of cases, and in not far fewer."""
    generator, tables = np.random.default_rng(7), 600
    alarms = sum(
        any(contrast.resolved for contrast in compared(made_up(rows, seeds, generator=generator)).contrasts.values())
        for _ in range(tables)
    )
    standard_error = math.sqrt(0.05 * 0.95 / tables)
    assert 0.015 < alarms / tables < 0.05 + 3 * standard_error


def test_equal_results_are_no_difference() -> None:
    (contrast,) = compared({"base": {0: 20.0, 1: 20.0}, "other": {0: 20.0, 1: 20.0}}, "base").contrasts.values()
    assert contrast.p == 1.0
