"""The median ratio of times that were taken in turns, and its interval."""

import numpy as np
import pytest

from mta_lab.stats.turns import FEWEST, median_ratio


def test_what_slows_a_round_changes_nothing() -> None:
    draw = np.random.default_rng(0)
    times, others, load = (draw.uniform(1, 2, 31) for _ in range(3))
    assert median_ratio(times * load, others * load) == pytest.approx(median_ratio(times, others))


def test_rounds_that_were_slowed_between_the_two_change_it_little() -> None:
    times, others = np.full(40, 1.1), np.ones(40)
    times[:5] *= 9
    others[5:10] *= 9
    assert median_ratio(times, others) == pytest.approx((1.1, 1.1, 1.1))


def test_the_order_of_rounds_does_not_matter_and_that_of_the_two_inverts_it() -> None:
    draw = np.random.default_rng(0)
    times, others, order = draw.uniform(1, 2, 31), draw.uniform(1, 2, 31), draw.permutation(31)
    found = median_ratio(times, others)
    assert median_ratio(times[order], others[order]) == found
    back = median_ratio(others, times)
    assert (1 / back.value, 1 / back.high, 1 / back.low) == pytest.approx(found)


@pytest.mark.parametrize("rounds", [FEWEST, 20, 101])
def test_the_interval_holds_the_median_of_a_skewed_distribution_in_95_percent(rounds: int) -> None:
    draw, hits, draws = np.random.default_rng(1), 0, 1000
    for ratios in np.exp(draw.exponential(size=(draws, rounds))):  # of median 2
        found = median_ratio(ratios, np.ones(rounds))
        hits += found.low <= 2.0 <= found.high
    assert 0.94 < hits / draws < 0.99


def test_it_holds_it_also_where_rounds_end_as_soon_as_the_interval_is_narrow() -> None:
    draw, hits, draws = np.random.default_rng(2), 0, 300
    for ratios in np.exp(0.03 * draw.standard_exponential(size=(draws, 200))):
        ends = (median_ratio(ratios[:end], np.ones(end)) for end in range(20, 201, 4))
        found = next((one for one in ends if one.reach < 0.005), median_ratio(ratios, np.ones(200)))
        hits += found.low <= 2**0.03 <= found.high
    assert hits / draws > 0.92


@pytest.mark.parametrize(("times", "others"), [(5, 5), (7, 6)])
def test_too_few_rounds_are_refused(times: int, others: int) -> None:
    with pytest.raises(ValueError, match=f"rounds: got {times} and {others}, allowed: 6 or more"):
        median_ratio([1.0] * times, [1.0] * others)
