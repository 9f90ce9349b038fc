"""Paired comparisons against textbook formulas, written out here with the whole design matrix."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from mta_lab.report.statistics import Comparison, compare
from mta_lab.stats.blocks import Blocks
from mta_lab.stats.contrasts import Array, Contrast, Question
from mta_lab.stats.paired import Noise, compare_paired, compare_unpaired
from mta_lab.stats.variances import moderated

QUESTION = Question(level=0.05)
Runs = dict[str, dict[int, float]]


def made_up(rows: int, seeds: int, *, generator: np.random.Generator, effects: Sequence[float] = ()) -> Runs:
    """Return perplexities around 20: seed effects of 2 %, noise of 1 %, and the rows' effects."""
    seed_effects = generator.normal(0, 0.02, seeds)
    row_effects = [0.0, *effects, *[0.0] * (rows - 1 - len(effects))]
    logs = math.log(20) + np.add.outer(row_effects, seed_effects) + generator.normal(0, 0.01, (rows, seeds))
    return {f"row {i}": {j: math.exp(logs[i, j]) for j in range(seeds)} for i in range(rows)}


def fitted(logs: Array) -> tuple[Array, Array, Array, Array, int]:
    """Return effects, errors, degrees of freedom and variances, by dense matrices.

    `logs` are rows x seeds, NaN where a run is missing. Also the residual degrees of freedom.
    """
    rows, seeds = np.nonzero(~np.isnan(logs))
    design = np.hstack([np.eye(len(logs))[rows], np.eye(logs.shape[1])[seeds, 1:]])
    inverse = np.linalg.pinv(design)
    maker = np.eye(len(rows)) - design @ inverse  # makes residuals of scores
    values, residuals = inverse @ logs[rows, seeds], maker @ logs[rows, seeds]
    of_row = np.eye(len(logs))[rows]
    known = np.diag(maker) @ of_row
    own = (residuals**2) @ of_row / known
    shrunk, prior = moderated(own[1:], known[1:])
    variances = np.array([own[0], *shrunk])
    kept = np.array([1.0, *(known[1:] / (known[1:] + prior))])
    covariance = of_row.T @ maker**2 @ of_row
    effects, errors, degrees = [], [], []
    for row in range(1, len(logs)):
        weights = (inverse[row] - inverse[0]) ** 2 @ of_row
        parts = weights * variances * np.sqrt(kept) / known
        effects.append(values[row] - values[0])
        errors.append(math.sqrt(weights @ variances))
        degrees.append((weights @ variances) ** 2 / (parts @ covariance @ parts))
    free = len(rows) - np.linalg.matrix_rank(design)
    return np.array(effects), np.array(errors), np.array(degrees), variances, int(free)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjustment, step by step from the smallest."""
    adjusted, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = running
    return adjusted


def compared(runs: Runs, baseline: str = "row 0") -> Comparison:
    """All rows of a table against one baseline."""
    return compare(runs, dict.fromkeys(runs, baseline), (), None)


def array(runs: Runs) -> Array:
    """Rows by seeds, NaN where a run is missing."""
    seeds = sorted({seed for row in runs.values() for seed in row})
    return np.array([[row.get(seed, math.nan) for seed in seeds] for row in runs.values()]).reshape(len(runs), -1)


def paired(runs: Runs) -> tuple[dict[str, Contrast], Noise]:
    """The contrasts of all rows with the first one."""
    found = compare_paired(array(runs), QUESTION)
    assert found is not None
    return {row: one for row, one in zip(list(runs)[1:], found[0], strict=True) if one}, found[1]


@pytest.mark.parametrize(("rows", "seeds"), [(2, 2), (2, 5), (3, 2), (5, 3), (9, 4)])
def test_complete_table_agrees_with_dense_matrices(rows: int, seeds: int) -> None:
    runs = made_up(rows, seeds, generator=np.random.default_rng(rows * 100 + seeds), effects=[-0.02])
    effects, errors, degrees, variances, free = fitted(np.log(array(runs)))
    found = compared(runs)
    noise = found.noise["row 0"]
    assert noise.degrees == free == (rows - 1) * (seeds - 1)
    assert noise.rows == pytest.approx(np.expm1(np.sqrt(variances)))
    plain = {}
    for row, effect, error, freedom in zip(list(runs)[1:], effects, errors, degrees, strict=True):
        contrast, reach = found.contrasts[row], stats.t.ppf(0.975, freedom) * error
        assert contrast.delta == pytest.approx(math.expm1(effect))
        assert (contrast.low, contrast.high) == pytest.approx((math.expm1(effect - reach), math.expm1(effect + reach)))
        plain[row] = 2 * stats.t.sf(abs(effect) / error, freedom)
    assert {row: contrast.p for row, contrast in found.contrasts.items()} == pytest.approx(plain)
    assert found.p_holm == pytest.approx(holm(plain))


def test_pooled_noise_is_that_of_the_two_way_analysis() -> None:
    logs = np.log(array(made_up(4, 5, generator=np.random.default_rng(14))))
    centred = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    noise = paired({f"row {i}": dict(enumerate(np.exp(row))) for i, row in enumerate(logs)})[1]
    assert noise.deviation == pytest.approx(math.expm1(math.sqrt((centred**2).sum() / 12)))


def test_two_rows_are_a_paired_t_test() -> None:
    runs = made_up(2, 6, generator=np.random.default_rng(1), effects=[0.01])
    base, other = (np.log([runs[row][seed] for seed in range(6)]) for row in ("row 0", "row 1"))
    (contrast,) = compared(runs).contrasts.values()
    expected = stats.ttest_rel(other, base)
    assert contrast.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (contrast.low, contrast.high) == pytest.approx((math.expm1(interval.low), math.expm1(interval.high)))


def test_worked_example() -> None:
    """Rows 100, 110 and 100, 121: differences of ln are 0 and ln 1.1.

    So t = 1 with one degree of freedom, and p = 1/2.
    """
    contrasts, noise = paired({"base": {0: 100.0, 1: 110.0}, "other": {0: 100.0, 1: 121.0}})
    (contrast,) = contrasts.values()
    assert noise.degrees == 1
    assert contrast.delta == pytest.approx(math.sqrt(1.1) - 1)
    assert contrast.p == pytest.approx(0.5)


def test_scale_of_perplexity_does_not_matter() -> None:
    runs = made_up(3, 3, generator=np.random.default_rng(2), effects=[0.03])
    tenfold = {row: {seed: 10 * value for seed, value in values.items()} for row, values in runs.items()}
    for row, contrast in compared(runs).contrasts.items():
        again = compared(tenfold).contrasts[row]
        assert (again.delta, again.p) == pytest.approx((contrast.delta, contrast.p))


def test_seed_effects_cancel() -> None:
    """Seeds far apart widen nothing: the pairing takes them out."""
    runs = made_up(3, 4, generator=np.random.default_rng(3))
    shifted = {row: {seed: value * 2.0**seed for seed, value in values.items()} for row, values in runs.items()}
    assert paired(shifted)[1].deviation == pytest.approx(paired(runs)[1].deviation)


def test_missing_runs_lose_degrees_and_keep_pairs() -> None:
    runs = made_up(4, 4, generator=np.random.default_rng(4))
    del runs["row 2"][3], runs["row 3"][0]
    assert paired(runs)[1].degrees == 3 * 3 - 2
    assert compared(runs).p_holm.keys() == {"row 1"}, "a row without all seeds is not tested"
    # a seed that a row lacks says nothing about that row: without noise its effect is exact
    exact = {f"row {i}": {j: 20.0 * 1.1**i * 1.3**j for j in range(4)} for i in range(3)}
    del exact["row 2"][3], exact["row 1"][0]
    contrasts = compared(exact).contrasts
    assert contrasts["row 1"].delta == pytest.approx(0.1)
    assert contrasts["row 2"].delta == pytest.approx(0.21)


def test_row_without_results_changes_no_contrast_and_counts_in_holms_correction() -> None:
    runs = made_up(3, 3, generator=np.random.default_rng(5), effects=[-0.01])
    with_empty = compared({**runs, "row 9": {}})
    assert dict(with_empty.contrasts).keys() == {"row 1", "row 2"}
    raw = {row: contrast.p for row, contrast in with_empty.contrasts.items()}
    adjusted = holm({**raw, "row 9": 1.0})
    assert with_empty.p_holm == pytest.approx({row: adjusted[row] for row in raw})
    assert with_empty.planned == 3


NAN = math.nan


@pytest.mark.parametrize(
    "scores",
    [
        np.empty((0, 0)),
        [[20.0, 21.0]],
        [[20.0], [21.0]],
        [[NAN, NAN], [21.0, 20.0], [20.0, 20.5]],
        [[20.0, 21.0], [20.0, NAN]],
        [[20.0, 21.0, NAN, NAN], [NAN, NAN, 20.0, 19.0]],
        [[20.0, 21.0, NAN, NAN], [20.5, 21.0, NAN, NAN], [NAN, NAN, 20.0, 19.0], [NAN, NAN, 20.0, 19.5]],
    ],
    ids=["nothing", "one row", "one seed", "base not finished", "no residual", "no common seed", "two apart from two"],
)
def test_too_few_runs_give_no_verdict(scores: list[list[float]]) -> None:
    assert compare_paired(np.array(scores), QUESTION) is None


def test_rows_without_a_baseline_are_compared_with_nothing() -> None:
    runs = {"other": {0: 21.0, 1: 20.0}, "third": {0: 20.0, 1: 20.5}}
    assert dict(compare(runs, dict.fromkeys(["base", *runs], "base"), (), None).contrasts) == {}


def test_holes_leave_what_dense_matrices_say() -> None:
    generator = np.random.default_rng(13)
    scores = array(made_up(6, 5, generator=generator, effects=[-0.02]))
    scores[generator.random(scores.shape) < 0.3] = NAN
    effects, errors, degrees, _, free = fitted(np.log(scores))
    found = compare_paired(scores, QUESTION)
    assert found is not None
    assert found[1].degrees == free
    for contrast, effect, error, freedom in zip(found[0], effects, errors, degrees, strict=True):
        assert contrast is not None
        reach = stats.t.ppf(0.975, freedom) * error
        assert contrast.delta == pytest.approx(math.expm1(effect), rel=1e-10)
        assert contrast.low == pytest.approx(math.expm1(effect - reach), rel=1e-10)
        assert contrast.high == pytest.approx(math.expm1(effect + reach), rel=1e-10)
        assert contrast.p == pytest.approx(2 * stats.t.sf(abs(effect) / error, freedom), rel=1e-10)


def test_a_row_with_one_run_has_no_difference_and_changes_none() -> None:
    runs = made_up(4, 3, generator=np.random.default_rng(15))
    with_one = {**runs, "row 4": {0: 19.0}}
    assert paired(with_one) == paired(runs)


def test_many_tables_at_once_are_what_each_is_alone() -> None:
    logs = np.random.default_rng(16).normal(0, 0.02, (7, 5, 4))
    there = np.ones((5, 4), dtype=bool)
    there[2, 3] = False
    blocks = Blocks(there)
    together = blocks.fit(logs)
    for number, table in enumerate(logs):
        alone = blocks.fit(table)
        for name in ("effects", "errors", "degrees", "variances", "prior"):
            assert getattr(together, name)[number] == pytest.approx(getattr(alone, name))


def test_a_noisy_row_widens_its_own_interval_and_hardly_any_other() -> None:
    runs = made_up(8, 6, generator=np.random.default_rng(17))
    runs["row 7"] = {seed: 20 * (value / 20) ** 8 for seed, value in runs["row 7"].items()}
    widths = {row: contrast.high - contrast.low for row, contrast in paired(runs)[0].items()}
    others = [width for row, width in widths.items() if row != "row 7"]
    assert widths["row 7"] > 2 * max(others)
    assert max(others) < 1.5 * min(others)


def test_real_effects_are_resolved() -> None:
    runs = made_up(4, 3, generator=np.random.default_rng(6), effects=[-0.1, 0.1])
    found = compared(runs)
    assert [p < 0.05 for p in found.p_holm.values()] == [True, True, False]
    assert found.contrasts["row 1"].high < 0 < found.contrasts["row 2"].low


@pytest.mark.parametrize(("rows", "seeds"), [(2, 3), (6, 3)])
def test_false_alarms_are_as_rare_as_promised(rows: int, seeds: int) -> None:
    """Under noise alone, at most 5 % of tables show a resolved row, and not far fewer."""
    generator, tables = np.random.default_rng(7), 500
    alarms = sum(
        any(p < 0.05 for p in compared(made_up(rows, seeds, generator=generator)).p_holm.values())
        for _ in range(tables)
    )
    standard_error = math.sqrt(0.05 * 0.95 / tables)
    assert 0.015 < alarms / tables < 0.05 + 3 * standard_error


def test_equal_results_are_no_difference() -> None:
    (contrast,) = compared({"base": {0: 20.0, 1: 20.0}, "other": {0: 20.0, 1: 20.0}}, "base").contrasts.values()
    assert contrast.p == 1.0
    assert contrast.p_equal == 0.0


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_rows_with_the_same_scores_are_no_difference_however_sums_round(rows: int) -> None:
    """Seeds differ, rows do not: only rounding is left, and no verdict follows from it."""
    same = {f"row {i}": {0: 20.0, 1: 21.3, 2: 22.7} for i in range(rows)}
    found = compared(same)
    for contrast in found.contrasts.values():
        assert (contrast.delta, contrast.low, contrast.high, contrast.p) == (0.0, 0.0, 0.0, 1.0)
    noisy = compared({**same, "row x": {0: 20.0, 1: 25.0, 2: 19.0}}).contrasts["row 1"]
    assert (noisy.delta, noisy.p) == (0.0, 1.0)


def test_unpaired_scores_that_differ_by_rounding_are_no_difference() -> None:
    contrast = compare_unpaired(np.full(2, 20.0), np.full(2, math.nextafter(20.0, 21.0)), QUESTION)
    assert contrast is not None
    assert (contrast.delta, contrast.p) == (0.0, 1.0)


@pytest.mark.parametrize("baseline", ["a", "b"])
def test_each_baseline_has_its_own_rows_and_noise(baseline: str) -> None:
    """A noisy group does not touch a quiet one; only the correction runs over both."""
    generator = np.random.default_rng(8)
    quiet = {f"a{i or ''}": row for i, row in enumerate(made_up(3, 3, generator=generator).values())}
    noisy = {f"b{i or ''}": row for i, row in enumerate(made_up(2, 3, generator=generator).values())}
    noisy = {row: {seed: v ** (1 + seed / 50) for seed, v in runs.items()} for row, runs in noisy.items()}
    found = compare({**quiet, **noisy}, {row: row[0] for row in (*quiet, *noisy)}, (), None)
    group = quiet if baseline == "a" else noisy
    contrasts, noise = paired(group)
    assert found.noise[baseline] == noise
    for row, contrast in contrasts.items():
        assert found.contrasts[row].p == pytest.approx(contrast.p)
        assert found.contrasts[row].low == pytest.approx(contrast.low)
    assert found.p_holm == pytest.approx(holm({row: contrast.p for row, contrast in found.contrasts.items()}))
    assert list(found.contrasts) == ["a1", "a2", "b1"]


def unpaired_tables(tables: int, seeds: int = 3) -> list[tuple[Runs, float]]:
    """Tables with seeds ten times as far apart as the residual; the A/A row is one more sample."""
    generator = np.random.default_rng(9)
    found = []
    for _ in range(tables):
        runs = made_up(3, seeds, generator=generator)
        other = made_up(1, seeds, generator=generator)["row 0"]
        table = {**runs, "aa": other}
        found.append((table, compare(table, dict.fromkeys(table, "row 0"), {"aa"}, None).contrasts["aa"].p))
    return found


def test_unshared_row_is_tested_honestly() -> None:
    """At 5 % it raises a false alarm in 5 %."""
    tables, count = unpaired_tables(500), 500
    alarms = sum(p < 0.05 for _, p in tables) / count
    assert abs(alarms - 0.05) < 3 * math.sqrt(0.05 * 0.95 / count)


def test_unshared_row_leaves_the_others_alone() -> None:
    runs = made_up(4, 3, generator=np.random.default_rng(10), effects=[-0.02])
    wild = {0: 18.0, 1: 25.0, 2: 21.0}
    found = compare({**runs, "aa": wild}, dict.fromkeys([*runs, "aa"], "row 0"), {"aa"}, None)
    without = compared(runs)
    assert found.noise == without.noise
    assert {row: contrast.p for row, contrast in found.contrasts.items() if row != "aa"} == pytest.approx(
        {row: contrast.p for row, contrast in without.contrasts.items()}
    )
    ours, base = np.log(list(wild.values())), np.log(list(runs["row 0"].values()))
    pooled = math.sqrt((ours.var(ddof=1) + base.var(ddof=1)) / 3)
    t = (ours.mean() - base.mean()) / pooled
    assert found.contrasts["aa"].p == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert found.contrasts["aa"].low == pytest.approx(math.expm1(t * pooled - stats.t.ppf(0.975, 4) * pooled))


@pytest.mark.parametrize(("row", "p"), [([20.0, 20.0], 1.0), ([21.0, 21.0], 0.0)])
def test_unshared_row_without_noise(row: list[float], p: float) -> None:
    contrast = compare_unpaired(np.array(row), np.full(2, 20.0), QUESTION)
    assert contrast is not None
    assert contrast.p == p
    assert contrast.low == contrast.delta == contrast.high
    assert compare_unpaired(np.full(1, 20.0), np.array(row), QUESTION) is None
