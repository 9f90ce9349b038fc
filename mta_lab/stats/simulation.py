"""Simulate tables: how often their verdicts are wrong, and how often they see an effect."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from mta_lab.stats.blocks import Blocks
from mta_lab.stats.contrasts import LEVEL, Array
from mta_lab.stats.looks import levels

CHUNK = 2000  # tables at a time: some tens of megabytes
STUDENT = 5.0  # degrees of freedom of the heavy tails
ONE_IN = 3.0  # times the noise of the others, of the row in "one row three times as noisy"

Draw = Callable[[np.random.Generator, tuple[int, int, int]], Array]
"""standard noise of (tables, rows, seeds)"""


@dataclass(frozen=True)
class Scenario:
    """A way in which the noise of rows may be: a standard deviation a row, and a law."""

    name: str
    deviations: Array
    """of one run around row and seed effects, by row, the baseline first; of logarithms"""
    draw: Draw


@dataclass(frozen=True, kw_only=True)
class Family:
    """The tests that share one level: the table's rows and looks, and the effect to be seen."""

    looks: tuple[int, ...]
    """numbers of seeds"""
    compared: int
    """number of rows that the table compares, those of other baselines included"""
    effect: float
    """a difference of logarithms"""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Error rates and power of a table's verdicts in a scenario."""

    false_alarms: float
    """share of tables without any effect where a row is called better or worse at any look"""
    coverage: float
    """share of the 95 % intervals, at the last look, that hold the truth"""
    power: float
    """chance that one row with the effect, among others without, is called by its sign"""
    row_by_row: float
    """the same with a paired t-test for each row alone, and Holm's correction"""


def normal(generator: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    """Return normal noise."""
    return generator.standard_normal(shape)


def heavy(generator: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    """Return noise by Student's t with 5 degrees of freedom, with variance 1."""
    noise: Array = generator.standard_t(STUDENT, shape)
    return noise / math.sqrt(STUDENT / (STUDENT - 2))


def drawn_from(residuals: Array, deviations: Array) -> Draw:
    """Return noise drawn from the `residuals` of all rows, each in units of its row's deviation.

    `residuals` are rows x seeds, NaN where a run is missing. The noise has variance 1. The
    deviations are to be moderated ones: in units of its own deviation no residual of three seeds is
    small. Draws are smoothed by a normal kernel of Silverman's width (1986, "Density Estimation"):
    a dozen residuals drawn as they are repeat, and rows of equal scores have no noise at all.
    """
    units = (residuals / deviations[:, None])[np.isfinite(residuals)]
    pool = (units - units.mean()) / units.std()
    width = 1.06 * len(pool) ** -0.2

    def draw(generator: np.random.Generator, shape: tuple[int, int, int]) -> Array:
        drawn: Array = generator.choice(pool, shape) + width * generator.standard_normal(shape)
        return drawn / math.sqrt(1 + width**2)

    return draw


def scenarios(deviations: Array, residuals: Array | None = None) -> tuple[Scenario, ...]:
    """Return the scenarios of a table whose rows have these deviations, the baseline first."""
    alike = np.full(len(deviations), np.sqrt((deviations**2).mean()))
    noisy_baseline, one_noisy = alike.copy(), alike.copy()
    noisy_baseline[0] *= 2
    one_noisy[-1] *= ONE_IN
    found = [
        Scenario("rows alike", alike, normal),
        Scenario("rows as noisy as these", deviations, normal),
        Scenario("baseline twice as noisy", noisy_baseline, normal),
        Scenario("one row three times as noisy", one_noisy, normal),
        Scenario("heavy tails (t with 5 degrees)", alike, heavy),
    ]
    if residuals is not None:
        found.append(Scenario("residuals drawn from these", deviations, drawn_from(residuals, deviations)))
    return tuple(found)


def simulate(scenario: Scenario, family: Family, draws: int, seed: int = 0) -> Rates:
    """Return what comes of `draws` tables of a scenario, every run finished.

    Where power is counted, the second row has the effect.
    """
    generator = np.random.default_rng(seed)
    totals, rows = np.zeros(4), len(scenario.deviations)
    designs = {seeds: Blocks(np.ones((rows, seeds), dtype=bool)) for seeds in family.looks}
    left = draws
    while left:
        count = min(CHUNK, left)
        noise = scenario.draw(generator, (count, rows, family.looks[-1])) * scenario.deviations[:, None]
        totals += _counted(noise, designs, family)
        left -= count
    false_alarms, coverage, power, row_by_row = (totals / draws).tolist()
    return Rates(false_alarms=false_alarms, coverage=coverage, power=power, row_by_row=row_by_row)


def _counted(noise: Array, designs: Mapping[int, Blocks], family: Family) -> Array:
    """Return the sums of false alarms, shares covered, effects seen, effects seen row by row."""
    alarms, seen, seen_alone = (np.zeros(len(noise), dtype=bool) for _ in range(3))
    covered = np.zeros(len(noise))
    for (seeds, blocks), level in zip(designs.items(), levels(family.looks), strict=True):
        there, single = noise[..., :seeds], level / family.compared
        fit = blocks.fit(there)
        alarms |= (fit.p_values < single).any(axis=-1)
        covered = (np.abs(fit.effects) < -stdtrit(fit.degrees, LEVEL / 2) * fit.errors).mean(axis=-1)
        # An effect moves no residual: a difference moves by it, errors and degrees stay.
        moved, error = fit.effects[:, 0] + family.effect, fit.errors[:, 0]
        seen |= stdtr(fit.degrees[:, 0], -moved / error) < single / 2
        differences = there[:, 1] - there[:, 0] + family.effect
        seen_alone |= _paired(differences) < single / 2
    return np.array([alarms.sum(), covered.sum(), seen.sum(), seen_alone.sum()])


def _paired(differences: Array) -> NDArray[np.float64]:
    """Return the upper one-sided p-values of paired t-tests of (tables, seeds)."""
    seeds = differences.shape[1]
    errors = differences.std(axis=1, ddof=1) / np.sqrt(seeds)
    return np.asarray(stdtr(seeds - 1, -differences.mean(axis=1) / errors))
