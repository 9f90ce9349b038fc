"""Variances shrink towards their mean as far as they are alike."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from mta_lab.stats.variances import ALIKE, DOUBT, moderated


def test_the_prior_is_what_log_variances_tell() -> None:
    """Smyth's equations, solved here by bisection."""
    degrees, own = 4.0, np.array([1.0, 9.0, 0.2, 2.5, 0.7, 30.0])
    shrunk, prior = moderated(own, np.full(6, degrees))
    most = np.log(own).var(ddof=1) * 5 / stats.chi2.ppf(DOUBT, 5)
    half = optimize.brentq(lambda x: special.polygamma(1, x) - (most - special.polygamma(1, degrees / 2)), 0.01, 1e6)
    assert prior == pytest.approx(2 * half)
    assert shrunk == pytest.approx((degrees * own + prior * own.mean()) / (degrees + prior))


def test_variances_that_differ_less_than_chance_makes_them_become_one() -> None:
    shrunk, prior = moderated(np.full(20, 3.0), np.full(20, 2.0))
    assert prior == pytest.approx(ALIKE, rel=1e-3)
    assert shrunk == pytest.approx(np.full(20, 3.0))


def test_the_further_apart_the_true_variances_are_the_less_they_shrink() -> None:
    generator = np.random.default_rng(1)
    own = generator.chisquare(4, (500, 20)) / 4
    priors = [np.median(moderated(own * spread, np.full(20, 4.0))[1]) for spread in
              (np.ones(20), np.geomspace(0.5, 2, 20), np.geomspace(0.1, 10, 20))]  # fmt: skip
    assert priors[0] > priors[1] > priors[2] > 0


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_two_rows_tell_nothing_of_each_other(rows: int) -> None:
    own = np.array([1.0, 5.0])[:rows]
    shrunk, prior = moderated(own, np.full(rows, 2.0))
    assert shrunk == pytest.approx(own)
    assert prior == 0


def test_a_row_without_residuals_takes_the_others_mean() -> None:
    shrunk, _ = moderated(np.array([1.0, 2.0, 3.0, 0.0]), np.array([2.0, 2.0, 2.0, 0.0]))
    assert shrunk[3] == pytest.approx(2.0, rel=1e-3)
