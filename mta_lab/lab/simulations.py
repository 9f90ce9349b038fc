"""Simulate a sweep's table: how often its verdicts are wrong, and how often they see an effect."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mta_lab.errors import UserError
from mta_lab.report import Table
from mta_lab.report.statistics import by_seed
from mta_lab.stats.blocks import Blocks
from mta_lab.stats.contrasts import Array
from mta_lab.stats.simulation import Family, Rates, scenarios, simulate
from mta_lab.workspace import again


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The error rates of the rows that share a baseline."""

    baseline: str
    rows: int
    """number of rows that are compared with it"""
    found: Sequence[tuple[str, Rates]]
    """name of a scenario -> what came of it"""


def simulations(table: Table, effect: float, draws: int, command: str) -> list[Simulation]:
    """Return the simulation of each group of rows with one baseline.

    The noise is that of the table's own runs; `effect` is relative, `draws` the number of tables.
    `command` trains what is missing.

    Raises:
        UserError: the scores are no perplexities, or too few runs are finished to tell their noise.
    """
    if table.sweep.metric.is_share:
        heading = table.sweep.metric.heading
        raise UserError(
            f"{table.sweep.name}: is scored by {heading}, whose intervals follow from the seeds of each row; simulate "
            "draws perplexities, so name a sweep that trains language models"
        )
    groups = {name: _group(table, name) for name in table.baselines}
    known = {name: noise for name, rows in groups.items() if (noise := _noise(table, rows))}
    if not known:
        raise UserError(
            f"{table.sweep.name}: too few runs are finished to tell their noise: it takes a row and its baseline under "
            f"two seeds; `{again(command)}` trains what is missing"
        )
    family = Family(
        looks=tuple(len(seeds) for seeds in table.sweep.look_seeds),
        compared=table.comparison.planned,
        effect=math.log1p(effect),
    )
    return [
        Simulation(
            baseline=name,
            rows=len(groups[name]) - 1,
            found=[(one.name, simulate(one, family, draws)) for one in scenarios(*noise)],
        )
        for name, noise in known.items()
    ]


def _group(table: Table, baseline: str) -> list[str]:
    """Return the names of a baseline and of the rows that are paired with it."""
    streams = {row.name: row.config.stream for row in table.sweep.rows}
    rows = [row.name for row in table.sweep.rows if row.baseline == baseline != row.name]
    return [baseline, *(row for row in rows if streams[row] == streams[baseline])]


def _noise(table: Table, rows: Sequence[str]) -> tuple[Array, Array] | None:
    """Return the deviation of each row, and the residuals of their runs; None of too few runs.

    A row without runs is as noisy as the others are on average.
    """
    scores = {row.name: row.measured.scores for row in table.rows}
    there = [row for row in rows if len(scores[row]) > 1]
    if len(there) < 2 or there[0] != rows[0]:
        return None
    logs = np.log(by_seed([scores[row] for row in there]))
    blocks = Blocks(~np.isnan(logs))
    if not blocks.connected or blocks.total_degrees < 1:
        return None
    variances = blocks.fit(logs).variances
    residuals = np.where(blocks.there, blocks.residuals(logs)[1], np.nan)
    usual = math.sqrt(variances.mean())
    deviations = dict(zip(there, np.sqrt(variances).tolist(), strict=True))
    of_rows = np.full((len(rows), logs.shape[1]), np.nan)
    of_rows[[rows.index(row) for row in there]] = residuals
    return np.array([deviations.get(row, usual) for row in rows]), of_rows
