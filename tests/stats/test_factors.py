"""Main effects: against numbers worked out by hand, scipy and simulation."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import linregress

from mta_lab.stats.factors import fit

Array = NDArray[np.float64]
TWO_BY_TWO = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=float)


def test_effects_of_a_whole_factorial_are_differences_of_means() -> None:
    found = fit(TWO_BY_TWO, np.array([10.0, 12.0, 15.0, 17.4]))
    first, second = found.effects
    assert (first.value, second.value) == (pytest.approx(2.2), pytest.approx(5.2))
    assert found.degrees == 1


def test_one_column_without_known_noise_is_a_t_test() -> None:
    """Its error, p and explained variance are those of a regression on 0 and 1."""
    rng = np.random.default_rng(0)
    column = np.repeat([0.0, 1.0], 5)
    values = column + rng.normal(size=10)
    found, by_scipy = fit(column[:, None], values), linregress(column, values)
    (effect,) = found.effects
    assert effect.value == pytest.approx(by_scipy.slope)
    assert effect.p == pytest.approx(by_scipy.pvalue)
    assert found.explained == pytest.approx(by_scipy.rvalue**2)
    assert effect.high - effect.value == pytest.approx(2.306004 * by_scipy.stderr)  # t with 8 degrees


def test_columns_that_add_up_to_another_have_no_effect_of_their_own() -> None:
    design = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=float)
    one, other, third = fit(design, np.array([1.0, 2.0, 3.0, 4.0, 2.5])).effects
    assert one is None
    assert other is None
    assert third is not None


def test_no_rows_to_spare_means_no_fit() -> None:
    assert fit(TWO_BY_TWO[:3], np.array([1.0, 2.0, 3.0])) is None
    assert fit(np.zeros((4, 1)), np.array([1.0, 2.0, 3.0, 4.0])) is None


def test_known_noise_widens_intervals_that_the_fit_alone_would_make_too_narrow() -> None:
    values = np.array([10.0, 12.0, 15.0, 17.0])  # they add up exactly
    (exact, _), (noisy, _) = (fit(TWO_BY_TWO, values, noise).effects for noise in (None, np.full(4, 0.5)))
    assert exact.high == pytest.approx(exact.value)
    assert noisy.high - noisy.value == pytest.approx(12.7062 * math.sqrt(0.5))  # t with 1 degree


def covered(noise: Array, unfit: float, *, draws: int = 4000) -> float:
    """Return how often the interval of the first effect holds its true value, 1."""
    rng = np.random.default_rng(1)
    design = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1, i >> 3 & 1] for i in range(12)], dtype=float)
    truth = design @ np.array([1.0, -2.0, 0.5, 0.0])
    inside = 0
    for _ in range(draws):
        values = truth + rng.normal(size=12) * unfit + rng.normal(size=12) * np.sqrt(noise)
        effect = fit(design, values, noise).effects[0]
        inside += effect.low <= 1 <= effect.high
    return inside / draws


@pytest.mark.parametrize("unfit", [0.0, 1.0])
@pytest.mark.parametrize("noise", [np.full(12, 1.0), np.repeat([0.1, 2.0], 6)], ids=["equal", "unequal"])
def test_intervals_cover_the_truth_with_and_without_lack_of_fit(noise: Array, unfit: float) -> None:
    assert covered(noise, unfit) >= 0.94


def test_lack_of_fit_is_found_where_it_is_and_rarely_elsewhere() -> None:
    rng = np.random.default_rng(2)
    design = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)] * 2, dtype=float)
    noise = np.full(16, 0.04)

    def alarms(interaction: float) -> float:
        product = interaction * design[:, 0] * design[:, 1]
        found = [fit(design, product + rng.normal(0, 0.2, 16), noise) for _ in range(1000)]
        return sum(one.lack_of_fit < 0.05 for one in found) / 1000

    assert alarms(0.0) < 0.07
    assert alarms(1.3) > 0.95
