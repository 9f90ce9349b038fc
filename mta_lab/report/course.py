"""Follow deltas along training: how large each is after so many tokens, whether it still moves."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

import numpy as np

from mta_lab.report.statistics import by_seed
from mta_lab.results.records import Record
from mta_lab.stats.contrasts import LEVEL, Contrast, Question, adjusted
from mta_lab.stats.paired import compare_paired

if TYPE_CHECKING:  # a table follows its own rows
    from mta_lab.report.table import Table

POINTS = 4
"""deltas of a row, at most: evenly spaced over the validations, the last one included"""
MOST_ROWS = 100
"""of more, like those of a scan over hundreds of values, nobody reads a list"""
Curve = Mapping[int, float]
"""step -> score"""
Curves = Mapping[str, Mapping[int, Curve]]
"""row -> seed -> validation curve"""
State = Literal["moving", "at rest", "not told"]


@dataclass(frozen=True, kw_only=True)
class Course:
    """A row's delta along training."""

    deltas: tuple[Contrast | None, ...]
    """one for each of `Courses.tokens`"""
    late: Contrast
    """the change of the delta over the last part of the training, from `Courses.half` on"""
    p_holm: float
    """that it does not change, after Holm's correction over the table's rows"""
    p_equal: float
    """that it changes by the sweep's `equal_within` or more, corrected in the same way"""

    @property
    def state(self) -> State:
        """Return whether the delta still moves at the end, or is at rest, or neither is told."""
        return "moving" if self.p_holm < LEVEL else "at rest" if self.p_equal < LEVEL else "not told"


@dataclass(frozen=True, kw_only=True)
class Courses:
    """The courses of a table's rows."""

    tokens: tuple[int, ...]
    half: int
    """tokens at the last validation of the first half"""
    rows: Mapping[str, Course]


def courses_of(table: "Table") -> Courses | None:
    """Return the courses of the rows that are paired with their baseline; None without any.

    They are over the seeds that the verdicts are of. Error rates have none, nor have tables whose
    rows train on different numbers of tokens or share fewer than two validations.
    """
    lengths = {(row.config.training.steps, row.config.training_tokens) for row in table.sweep.rows}
    if table.sweep.metric.is_share or len(table.rows) > MOST_ROWS or len(lengths) > 1:
        return None
    curves = _curves(table)
    steps = _shared(curves)
    if len(steps) < 2:
        return None
    half = max((step for step in steps if 2 * step <= steps[-1]), default=steps[0])
    late = _contrasts(table, curves, lambda curve: curve[steps[-1]] / curve[half])
    if not late:
        return None
    count = min(POINTS, len(steps))
    shown = [steps[(place + 1) * len(steps) // count - 1] for place in range(count)]
    found = [_contrasts(table, curves, itemgetter(step)) for step in shown]
    p_holm, p_equal = (adjusted(np.array([getattr(one, name) for one in late.values()])) for name in ("p", "p_equal"))
    ((whole, training_tokens),) = lengths
    return Courses(
        tokens=tuple(step * training_tokens // whole for step in shown),
        half=half * training_tokens // whole,
        rows={
            row: Course(
                deltas=tuple(at_step.get(row) for at_step in found),
                late=change,
                p_holm=float(p),
                p_equal=float(p_same),
            )
            for (row, change), p, p_same in zip(late.items(), p_holm, p_equal, strict=True)
        },
    )


def _curves(table: "Table") -> Curves:
    """Return the validation curves of the runs that verdicts are of, without A/A rows."""
    seeds = table.counted_seeds
    streams = {row.name: row.config.stream for row in table.sweep.rows}
    return {
        row.name: {seed: _curve(row.measured.records[seed]) for seed in seeds if seed in row.measured.records}
        for row, planned in zip(table.rows, table.sweep.rows, strict=True)
        if row.measured.role != "A/A" and planned.config.stream == streams[planned.baseline]
    }


def _curve(record: Record) -> Curve:
    """Return the validations whose score is a positive number: of others there is no logarithm."""
    return {int(step): score for step, score in record.validations if 0 < score < math.inf}


def _shared(curves: Curves) -> list[int]:
    """Return the steps at which all runs were validated, in ascending order."""
    runs = [set(curve) for of_row in curves.values() for curve in of_row.values()]
    return sorted(set.intersection(*runs)) if runs else []


def _contrasts(table: "Table", curves: Curves, value: Callable[[Curve], float]) -> dict[str, Contrast]:
    """Compare a value of each row's curves with its baseline's, as scores are compared."""
    values = {row: {seed: value(curve) for seed, curve in of_row.items()} for row, of_row in curves.items()}
    found: dict[str, Contrast] = {}
    question = Question(level=LEVEL, within=table.comparison.terms.within)
    for baseline in table.baselines:
        others = [row.name for row in table.rows if row.measured.baseline == baseline != row.name]
        rows = [name for name in (baseline, *others) if values.get(name)]
        compared = compare_paired(by_seed([values[name] for name in rows]), question) if baseline in rows else None
        if compared:
            found |= {name: contrast for name, contrast in zip(rows[1:], compared[0], strict=True) if contrast}
    return found
