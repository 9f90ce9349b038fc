"""Fit the main effects of a table's factors, ours beside the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from components.metrics import Metric
from mta_lab.report.factors import Column, Design, design_of
from mta_lab.report.row_noise import added_up, noise_of_means
from mta_lab.stats.contrasts import LEVEL, adjusted
from mta_lab.stats.factors import Effect, Fit, fit
from mta_lab.stats.paired import relative
from mta_lab.sweep.tune import apart_from_tuning

if TYPE_CHECKING:  # a table fits its own effects
    from mta_lab.report.table import Table, TableRow

FEWEST_FACTORS, FEWEST_DEGREES = 2, 2
"""with fewer, the rows are no factorial: each says as much by itself"""
MOST_EFFECTS = 100
"""of more, like those of a scan over hundreds of values, nobody reads a list"""


@dataclass(frozen=True, kw_only=True)
class Half:
    """An effect on the metric's scale, ours or the paper's: -0.02 is 2 % lower, or 2 points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class FactorEffect:
    """The effect of one column of the design."""

    column: Column
    ours: Half
    p_holm: float
    """after Holm's correction over the table's effects"""
    paper: Half | None
    """by the same least squares over the rows that the paper prints"""

    @property
    def name(self) -> str:
        """Return the settings that make the difference."""
        return " + ".join(self.column.names)

    @property
    def resolved(self) -> bool:
        """Return True if the effect differs from 0 after Holm's correction."""
        return self.p_holm < LEVEL


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The main effects of a table that is a partial factorial."""

    design: Design
    effects: tuple[FactorEffect, ...]
    untold: tuple[Column, ...]
    """columns that others add up to, so that no effect of theirs can be told"""
    fit: Fit
    paper: Fit | None
    paper_rows: int
    """number of rows that the paper's effects are fitted to"""
    unfinished: int
    """number of rows that lack a seed of those that verdicts are of, which are left out"""


def effects_of(table: "Table") -> Effects | None:
    """Return the effects over the rows that have the seeds that verdicts are of.

    None where these are no factorial.
    """
    configs = apart_from_tuning(table.sweep)
    rows = {row.name: row for row in table.rows if row.measured.role != "A/A"}
    seeds = table.counted_seeds
    counted = {name: _counted(row, seeds) for name, row in rows.items()}
    finished = {name: row for name, row in counted.items() if row}
    if len(finished) <= FEWEST_FACTORS + FEWEST_DEGREES:
        return None
    design = design_of({name: configs[name] for name in finished}, table.baselines[0])
    if len(design.columns) > MOST_EFFECTS:
        return None
    metric, used = table.sweep.metric, [finished[name] for name in design.rows]
    values = np.array([added_up(fmean(row.measured.scores.values()), metric) for row in used])
    noise = noise_of_means({row.name: row.measured for row in used}, table.comparison)
    found = fit(design.matrix, values, *(noise or (None,)))
    if found is None or found.degrees < FEWEST_DEGREES or _factors(design, found) < FEWEST_FACTORS:
        return None
    paper, paper_rows = _published(design, used, metric)
    theirs = paper.effects if paper else (None,) * len(design.columns)
    each = list(zip(design.columns, found.effects, theirs, strict=True))
    p_holm = adjusted(np.array([effect.p for effect in found.effects if effect]))
    told = [(column, effect, their) for column, effect, their in each if effect]
    return Effects(
        design=design,
        effects=tuple(
            FactorEffect(
                column=column,
                ours=_half(effect, metric),
                p_holm=float(p),
                paper=_half(their, metric) if their else None,
            )
            for (column, effect, their), p in zip(told, p_holm, strict=True)
        ),
        untold=tuple(column for column, effect, _ in each if effect is None),
        fit=found,
        paper=paper,
        paper_rows=paper_rows,
        unfinished=len(rows) - len(finished),
    )


def _counted(row: "TableRow", seeds: Sequence[int]) -> "TableRow | None":
    """Return the row with the scores of these seeds alone; None where it lacks one."""
    measured = row.measured
    if not all(seed in measured.scores for seed in seeds):
        return None
    return replace(row, measured=replace(measured, scores={seed: measured.scores[seed] for seed in seeds}))


def _half(effect: Effect, metric: Metric) -> Half:
    back = float if metric.is_share else relative
    return Half(value=back(effect.value), low=back(effect.low), high=back(effect.high))


def _factors(design: Design, found: Fit) -> int:
    """Return the number of settings that effects can be told of."""
    told = [column for column, effect in zip(design.columns, found.effects, strict=True) if effect]
    return len({column.settings[0] for column in told})


def _published(design: Design, rows: "Sequence[TableRow]", metric: Metric) -> tuple[Fit | None, int]:
    """Return the fit of the same columns to the paper's scores, and the number of their rows."""
    printed = [(place, row.published.value) for place, row in enumerate(rows) if row.published.value is not None]
    if not printed:
        return None, 0
    places, scores = zip(*printed, strict=True)
    values = np.array([added_up(score, metric) for score in scores])
    return fit(design.matrix[list(places)], values), len(printed)
