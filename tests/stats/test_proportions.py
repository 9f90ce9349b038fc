"""Error rates over few seeds: Wilson's and Newcombe's formulas, and how often intervals hold."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from scipy import stats

from mta_lab.stats.contrasts import Contrast
from mta_lab.stats.proportions import Rates, compare_rates, interval

SEQUENCES = 1000
BIMODAL = Rates(rates=(0.777, 0.753, 0.019), sequences=SEQUENCES)
"""as published: two seeds did not learn the task and one did"""
SOLVED = Rates(rates=(0.0, 0.0, 0.002), sequences=SEQUENCES)


def wilson(mean: float, size: float, reach: float) -> tuple[float, float]:
    centre = (mean + reach**2 / (2 * size)) / (1 + reach**2 / size)
    half = reach / (1 + reach**2 / size) * math.sqrt(mean * (1 - mean) / size + reach**2 / (4 * size**2))
    return centre - half, centre + half


def compared(row: Rates, baseline: Rates) -> Contrast:
    found = compare_rates(row, baseline, 0.05)
    assert found is not None
    return found


def test_interval_is_wilsons_on_the_effective_number() -> None:
    """Korn and Graubard's form: the effective number times (z / t)^2, and z."""
    mean, between = np.mean(BIMODAL.rates), np.var(BIMODAL.rates, ddof=1)
    effective = 3 * mean * (1 - mean) / between
    z, t = stats.norm.ppf(0.975), stats.t.ppf(0.975, 2)
    assert interval(BIMODAL) == pytest.approx(wilson(float(mean), effective * (z / t) ** 2, z))


def test_seeds_that_agree_are_worth_all_their_sequences_and_no_more() -> None:
    row = Rates(rates=(0.3, 0.3, 0.3), sequences=SEQUENCES)
    assert interval(row) == pytest.approx(wilson(0.3, 3 * SEQUENCES, stats.t.ppf(0.975, 2)))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_interval_at_the_border_is_inside_it_and_has_a_width(rate: float) -> None:
    low, high = interval(Rates(rates=(rate,) * 3, sequences=SEQUENCES)) or (math.nan, math.nan)
    assert 0 <= low <= rate <= high <= 1
    assert 0.001 < high - low < 0.02


def test_difference_is_newcombes_on_the_pooled_effective_number() -> None:
    ours, base = Rates(rates=(0.2, 0.3, 0.26), sequences=SEQUENCES), Rates(rates=(0.7, 0.78, 0.75), sequences=SEQUENCES)
    means = [np.mean(row.rates) for row in (ours, base)]
    variances = [np.var(row.rates, ddof=1) for row in (ours, base)]
    size = 3 * sum(m * (1 - m) for m in means) / sum(variances)
    t = stats.t.ppf(0.975, 2 * sum(variances) ** 2 / sum(v**2 for v in variances))
    (low_a, high_a), (low_b, high_b) = (wilson(float(mean), size, t) for mean in means)
    delta = means[0] - means[1]
    found = compared(ours, base)
    assert found.delta == pytest.approx(delta)
    assert found.low == pytest.approx(delta - math.hypot(means[0] - low_a, high_b - means[1]))
    assert found.high == pytest.approx(delta + math.hypot(high_a - means[0], means[1] - low_b))


@pytest.mark.parametrize("far", [0.3, 0.335, 0.36, 0.45])
def test_p_value_and_interval_agree(far: float) -> None:
    found = compared(
        Rates(rates=(0.29, 0.31, 0.3), sequences=200), Rates(rates=(far, far + 0.02, far - 0.02), sequences=200)
    )
    assert (found.p < 0.05) == (found.high < 0)
    again = compared(
        Rates(rates=(far, far + 0.02, far - 0.02), sequences=200), Rates(rates=(0.29, 0.31, 0.3), sequences=200)
    )
    assert (again.p, again.low, again.delta) == pytest.approx((found.p, -found.high, -found.delta))


def test_seeds_far_apart_leave_the_published_difference_unresolved() -> None:
    found = compared(SOLVED, BIMODAL)
    assert found.delta == pytest.approx(-0.5157, abs=1e-4)
    assert found.low < -0.9
    assert found.high > 0.3
    assert found.p > 0.1
    assert found.seeds_needed is not None
    assert 5 < found.seeds_needed < 50


def test_seeds_that_agree_resolve_a_large_difference() -> None:
    found = compared(SOLVED, Rates(rates=(0.75, 0.7, 0.78), sequences=SEQUENCES))
    assert found.p < 0.01
    assert found.high < -0.5


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_equal_rows_are_no_difference(rate: float) -> None:
    row = Rates(rates=(rate,) * 3, sequences=SEQUENCES)
    found = compared(row, row)
    assert (found.delta, found.p, found.seeds_needed) == (0, 1.0, None)
    assert found.low < 0 < found.high


def test_opposite_ends_are_certain() -> None:
    found = compared(Rates(rates=(0.0,) * 3, sequences=SEQUENCES), Rates(rates=(1.0,) * 3, sequences=SEQUENCES))
    assert found.delta == -1
    assert found.p < 0.01


@pytest.mark.parametrize(
    ("row", "baseline"),
    [
        ((0.019, 0.012, 0.023), (0.016, 0.021, 0.017)),
        ((0.1, 0.2, 0.3), (0.3, 0.1, 0.2)),
        ((0.1, 0.1, 0.4), (0.2, 0.2, 0.2)),
        ((0.7, 0.8, 0.9), (0.8, 0.8, 0.8)),
    ],
)
def test_means_that_are_equal_up_to_rounding_are_no_difference(
    row: tuple[float, ...], baseline: tuple[float, ...]
) -> None:
    found = compared(Rates(rates=row, sequences=SEQUENCES), Rates(rates=baseline, sequences=SEQUENCES))
    assert (found.delta, found.p, found.seeds_needed) == (0.0, 1.0, None)
    assert found.low < 0 < found.high


def wrong_answers(sequences: int) -> some.SearchStrategy[Rates]:
    """A row of one to six seeds, each with any number of its sequences wrong.

    Seeds may agree, at 0 and 1 too.
    """
    counts = some.one_of(some.integers(0, sequences), some.sampled_from((0, sequences)))
    seeds = some.one_of(
        some.lists(counts, min_size=1, max_size=6), some.builds(lambda n, k: [n] * k, counts, some.integers(1, 6))
    )
    return seeds.map(lambda wrong: Rates(rates=[count / sequences for count in wrong], sequences=sequences))


any_two_rows = some.sampled_from((1, 2, 3, 7, 100, 1000, 10**6)).flatmap(
    lambda sequences: some.tuples(wrong_answers(sequences), wrong_answers(sequences))
)


@settings(deadline=None, max_examples=150)
@given(any_two_rows)
@example((Rates(rates=(1e-160, 0.0), sequences=10), Rates(rates=(0.0, 0.0), sequences=10)))
def test_whatever_the_rates_an_interval_holds_its_estimate_and_swapping_rows_swaps_it(
    rows: tuple[Rates, Rates],
) -> None:
    row, baseline = rows
    for one in rows:
        ends = interval(one)
        assert (ends is None) == (len(one.rates) < 2)
        assert ends is None or 0 <= ends[0] <= one.mean <= ends[1] <= 1
    found, swapped = compare_rates(row, baseline, 0.05), compare_rates(baseline, row, 0.05)
    if found is None or swapped is None:
        assert (found, swapped) == (None, None)
        assert min(len(row.rates), len(baseline.rates)) < 2
        return
    assert -1 <= found.low <= found.delta <= found.high <= 1
    assert 0 <= found.p <= 1
    assert (swapped.delta, swapped.low, swapped.high) == pytest.approx(
        (-found.delta, -found.high, -found.low), abs=1e-9
    )
    assert swapped.p == pytest.approx(found.p, abs=1e-6)


def test_one_seed_says_nothing() -> None:
    single = Rates(rates=(0.2,), sequences=SEQUENCES)
    assert interval(single) is None
    assert compare_rates(single, SOLVED, 0.05) is None
    assert compare_rates(SOLVED, single, 0.05) is None


Draw = Callable[[np.random.Generator], np.ndarray]
WORLDS: dict[str, tuple[Draw, float]] = {
    "binomial": (lambda g: np.full(3, 0.3), 0.3),
    "alike": (lambda g: g.beta(312, 312, 3), 0.5),
    "apart": (lambda g: g.beta(2.5, 7.5, 3), 0.25),
    "far apart": (lambda g: g.beta(0.5, 0.5, 3), 0.5),
    "all or nothing": (lambda g: np.where(g.random(3) < 0.5, 0.01, 0.78), 0.395),
}


def drawn(draw: Draw, generator: np.random.Generator) -> Rates:
    rates = generator.binomial(SEQUENCES, draw(generator)) / SEQUENCES
    return Rates(rates=tuple(map(float, rates)), sequences=SEQUENCES)


@pytest.mark.parametrize("world", [name for name in WORLDS if name != "all or nothing"])
def test_intervals_hold_the_truth(world: str) -> None:
    """Intervals hold in 93 % of cases or more.

    Three seeds of all or nothing are all equal in a quarter, which nothing can mend.
    """
    (draw, truth), generator, tables = WORLDS[world], np.random.default_rng(1), 600
    ends = [interval(drawn(draw, generator)) or (1.0, 0.0) for _ in range(tables)]
    assert sum(low <= truth <= high for low, high in ends) / tables > 0.93 - 3 * math.sqrt(0.93 * 0.07 / tables)


@pytest.mark.parametrize("world", list(WORLDS))
def test_false_alarms_are_rare(world: str) -> None:
    (draw, _), generator, tables = WORLDS[world], np.random.default_rng(2), 400
    alarms = sum(compared(drawn(draw, generator), drawn(draw, generator)).p < 0.05 for _ in range(tables))
    assert alarms / tables < 0.05 + 2 * math.sqrt(0.05 * 0.95 / tables)
