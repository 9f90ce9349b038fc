"""The error rates of verdicts, where rows, baselines and laws of noise differ."""

import math

import numpy as np
import pytest

from mta_lab.stats.simulation import Family, Scenario, drawn_from, normal, scenarios, simulate

ROWS, NOISE, EFFECT = 21, 0.0183, math.log(1.05)
WITH_NORM, WITHOUT = 0.0214, 0.0069
"""noise of the 14 rows with a norm and the 6 without, as in `components` at nano"""
GROUPS = np.array([WITHOUT] * 3 + [WITH_NORM] * 14 + [WITHOUT] * 4)
NOISY_BASELINE = np.array([WITH_NORM] * 15 + [WITHOUT] * 6)
WORLDS = (
    *scenarios(np.full(ROWS, NOISE)),
    Scenario("14 rows three times as noisy as 6", GROUPS, normal),
    Scenario("the same, the baseline a noisy one", NOISY_BASELINE, normal),
)


def family(*looks: int, rows: int = ROWS) -> Family:
    return Family(looks=looks, compared=rows - 1, effect=EFFECT)


def by_name(world: Scenario) -> str:
    return world.name


@pytest.mark.parametrize("world", WORLDS, ids=by_name)
def test_false_alarms_are_rare_in_every_world(world: Scenario) -> None:
    """A quick look at what the slow test holds: no more than 5 % and three standard errors."""
    found = simulate(world, family(3, 6), draws=500)
    assert found.false_alarms < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)
    assert found.coverage > 0.92


@pytest.mark.slow
@pytest.mark.parametrize("looks", [[3], [5], [3, 6, 12]], ids=str)
@pytest.mark.parametrize("world", WORLDS, ids=by_name)
def test_at_most_one_table_in_twenty_raises_a_false_alarm(world: Scenario, looks: list[int]) -> None:
    found = simulate(world, family(*looks), draws=20_000)
    assert found.false_alarms <= 0.055
    assert found.coverage > 0.93


@pytest.mark.slow
def test_power_at_five_seeds_is_well_above_that_of_a_test_for_each_row_alone() -> None:
    """An effect of 5 %, 5 seeds, noise of 1.83 %, 5 % over 20 rows."""
    found = simulate(WORLDS[0], family(5), draws=20_000)
    assert found.power >= 1.5 * found.row_by_row
    assert found.power > 0.55


def test_power_is_well_above_that_of_a_test_for_each_row_alone() -> None:
    found = simulate(WORLDS[0], family(5), draws=1000)
    assert found.power > 2 * found.row_by_row > 0.2


def test_the_rates_of_a_pair_of_rows_are_those_of_the_paired_t_test() -> None:
    found = simulate(Scenario("pair", np.full(2, NOISE), normal), family(5, rows=2), draws=4000)
    assert found.false_alarms == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 4000))
    assert found.coverage == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / 4000))
    assert found.power == found.row_by_row


def test_draws_are_the_same_each_time_however_many_there_are_at_once() -> None:
    assert simulate(WORLDS[0], family(3), draws=300) == simulate(WORLDS[0], family(3), draws=300)
    assert simulate(WORLDS[0], family(3), draws=300, seed=1) != simulate(WORLDS[0], family(3), draws=300)


def test_noise_drawn_from_residuals_has_their_law_in_units_of_their_rows() -> None:
    """Of residuals at two places, however noisy their rows: noise around two places, variance 1."""
    deviations = np.array([0.01, 0.05])
    residuals = deviations[:, None] * np.array([[1.0, -1.0] * 50, [-1.0, 1.0] * 49 + [-1.0, np.nan]])
    drawn = drawn_from(residuals, deviations)(np.random.default_rng(1), (50, 3, 40))
    assert drawn.shape == (50, 3, 40)
    assert drawn.mean() == pytest.approx(0, abs=0.05)
    assert drawn.var() == pytest.approx(1, abs=0.05)
    assert (abs(drawn) < 0.3).mean() < 0.15 < (abs(abs(drawn) - 1) < 0.3).mean()
