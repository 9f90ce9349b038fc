"""Kendall's tau beside its definition and scipy's."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from mta_lab.stats.ranks import rank_correlation, tau_interval


def test_tau_is_the_share_of_concordant_pairs() -> None:
    ours, theirs = np.array([3.0, 1.0, 4.0, 1.5, 5.0, 9.0]), np.array([2.0, 7.0, 1.0, 8.0, 2.8, 1.8])
    signs = [math.copysign(1, (a - b) * (x - y)) for (a, x), (b, y) in combinations(zip(ours, theirs, strict=True), 2)]
    assert rank_correlation(ours, theirs) == pytest.approx(sum(signs) / len(signs))


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0)], [(1.0, 2.0), (3.0, 2.0)]], ids=["none", "one", "ties only"])
def test_no_tau_where_nothing_is_ranked(pairs: list[tuple[float, float]]) -> None:
    assert rank_correlation(*np.array(pairs).reshape(-1, 2).T) is None


def test_tau_allows_for_ties_as_scipys_does() -> None:
    generator = np.random.default_rng(0)
    for count in range(2, 12):
        ours, theirs = generator.integers(0, 5, (2, count)).astype(float)
        expected = stats.kendalltau(ours, theirs).statistic
        found = rank_correlation(ours, theirs)
        assert math.isnan(expected) if found is None else found == pytest.approx(expected, rel=1e-12)


def test_interval_of_tau_is_fiellers() -> None:
    """tau = 0.5 over 17 rows: z = 0.549, standard error sqrt(0.437 / 13) = 0.183."""
    low, high = tau_interval(0.5, 17) or (math.nan, math.nan)
    error = math.sqrt(0.437 / 13) * stats.norm.ppf(0.975)
    assert (math.atanh(low), math.atanh(high)) == pytest.approx((math.atanh(0.5) - error, math.atanh(0.5) + error))
    assert (low, high) == pytest.approx((0.188, 0.720), abs=1e-3)


@pytest.mark.parametrize(("tau", "count"), [(0.5, 4), (0.5, 2), (1.0, 17), (-1.0, 9), (None, 9)])
def test_no_interval_where_the_approximation_has_none(tau: float | None, count: int) -> None:
    assert tau_interval(tau, count) is None
