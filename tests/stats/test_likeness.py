"""Coefficients beside their definitions and scipy's; their intervals by simulation."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mta_lab.stats.likeness import chance_of_signs, correlation, likeness, tau

Array = NDArray[np.float64]


def test_tau_is_the_share_of_concordant_pairs() -> None:
    ours, theirs = np.array([3.0, 1.0, 4.0, 1.5, 5.0, 9.0]), np.array([2.0, 7.0, 1.0, 8.0, 2.8, 1.8])
    signs = [math.copysign(1, (a - b) * (x - y)) for (a, x), (b, y) in combinations(zip(ours, theirs, strict=True), 2)]
    assert tau(ours, theirs) == pytest.approx(sum(signs) / len(signs))


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0)], [(1.0, 2.0), (3.0, 2.0)]], ids=["none", "one", "ties only"])
def test_no_likeness_where_nothing_is_ranked(pairs: list[tuple[float, float]]) -> None:
    assert likeness(tau, *np.array(pairs).reshape(-1, 2).T, None) is None


def test_both_coefficients_are_scipys_with_ties() -> None:
    generator = np.random.default_rng(0)
    for count in range(3, 12):
        ours, theirs = generator.integers(0, 5, (2, count)).astype(float)
        assert float(tau(ours, theirs)) == pytest.approx(stats.kendalltau(ours, theirs).statistic, nan_ok=True)
        if np.ptp(ours) and np.ptp(theirs):
            assert float(correlation(ours, theirs)) == pytest.approx(stats.pearsonr(ours, theirs).statistic)


def test_without_noise_there_is_nothing_to_be_unsure_of() -> None:
    ours, theirs, none = np.arange(6.0), np.array([0.0, 2.0, 1.0, 3.0, 5.0, 4.0]), np.full(6, 1e-12)
    found = likeness(tau, ours, theirs, (none, none))
    assert found.interval == pytest.approx((found.value, found.value))


def test_few_rows_and_unknown_noise_have_no_interval() -> None:
    three = np.arange(3.0)
    assert likeness(tau, three, three, (three, three)).interval is None
    assert likeness(tau, np.arange(9.0), np.arange(9.0), None).interval is None


def test_chance_is_the_share_of_orders_that_are_as_alike() -> None:
    """Of the 24 orders of four rows one is the same, and four have at least five pairs in order."""
    four = np.arange(4.0)
    assert likeness(tau, four, four, None).chance == pytest.approx(1 / 24, abs=0.01)
    assert likeness(tau, four, np.array([0.0, 1.0, 3.0, 2.0]), None).chance == pytest.approx(4 / 24, abs=0.02)


@pytest.mark.parametrize(("of", "true"), [(correlation, 0.0), (correlation, 0.6), (correlation, 0.95), (tau, 0.95)])
def test_the_interval_covers_what_would_be_seen_without_noise(of: Callable[..., Array], true: float) -> None:
    """A third of the observed variance is noise, unequal over the rows."""
    generator, held = np.random.default_rng(1), 0
    noise = np.repeat([0.2, 0.8], 5), np.full(10, 0.01)
    for _ in range(100):
        ours, other = generator.normal(size=(2, 10))
        theirs = true * ours + math.sqrt(1 - true**2) * other
        seen = [
            values + generator.normal(size=10) * np.sqrt(v) for values, v in zip((ours, theirs), noise, strict=True)
        ]
        low, high = likeness(of, *seen, noise).interval
        held += low - 1e-9 <= float(of(ours, theirs)) <= high + 1e-9
    assert held / 100 >= 0.9


def test_the_chance_of_signs_is_fishers_exact_test() -> None:
    """8 rows, 7 of the paper's with a minus: 6 of 8 agree, however ours are drawn or nearly."""
    for ours, theirs, same in ((6, 7, 7), (5, 4, 7), (3, 5, 4)):
        both = (same + ours + theirs - 8) // 2
        table = [[both, ours - both], [theirs - both, 8 - ours - theirs + both]]
        expected = stats.fisher_exact(table, alternative="greater").pvalue
        assert chance_of_signs(ours, theirs, 8, same) == pytest.approx(expected)


def test_signs_say_nothing_where_all_published_ones_are_alike() -> None:
    assert chance_of_signs(6, 8, 8, 6) == 1.0
