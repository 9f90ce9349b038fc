"""Say what a table can see: its detection limit, the power for a stated effect, and its looks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from components.metrics import Metric
from mta_lab.report.table import Table
from mta_lab.stats.contrasts import MOST_SEEDS, POWER, Contrast
from mta_lab.stats.looks import levels
from mta_lab.words import counted, listed


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The smallest differences that a table sees, under the noise that it has."""

    typical: Contrast
    """of the row whose limit is the median of all"""
    least: float
    most: float
    """the limits of the quietest and of the noisiest row"""
    seeds: int
    """of the look that they are of"""

    @property
    def usual(self) -> float:
        """Return the limit of the typical row; infinite if it sees no difference however large."""
        return _limit(self.typical)


def limits_of(table: Table) -> Limits | None:
    """Return the limits of a table's rows; None where no row has enough runs to tell its noise."""
    rows = [row.measured for row in table.rows if row.measured.role == "row"]
    found = {_limit(row.contrast): row for row in rows if row.contrast}
    if not found:
        return None
    row = found[median_low(found)]
    assert row.contrast
    seeds = row.looks[row.looks_used - 1] if row.testable else len(row.scores)
    return Limits(typical=row.contrast, least=min(found), most=max(found), seeds=seeds)


def _limit(contrast: Contrast) -> float:
    """Return the limit of a row, infinite where it sees no difference however large."""
    return math.inf if contrast.limit is None else contrast.limit


def limit_note(table: Table) -> list[str]:
    """Return a sentence on what the table sees, or none."""
    found = limits_of(table)
    if found is None:
        return []
    metric, effect = table.sweep.metric, table.comparison.terms.effect
    between = ""
    if found.least < found.most:
        between = f" in the median row ({size(found.least, metric)} to {size(found.most, metric)} by row)"
    sees = f"a difference of {size(found.usual, metric)} is seen with {POWER:.0%} power{between}"
    if found.typical.limit is None:
        sees = f"not even the largest difference is seen with {POWER:.0%} power{between}"
    return [
        f"Detection limit: with {counted(found.seeds, 'seed')} {sees}. One of {size(effect, metric)} is seen with "
        f"{found.typical.power:.0%}; {POWER:.0%} {takes(found.typical.seeds_needed)}."
    ]


def takes(seeds: int) -> str:
    """Return in words that an effect would take so many seeds."""
    return f"would take {'more than ' if seeds > MOST_SEEDS else ''}{min(seeds, MOST_SEEDS)} seeds in all"


def size(value: float, metric: Metric) -> str:
    """Return a difference as `2.0%`, or `2.0 points` of a share; an infinite one is `none`."""
    if math.isinf(value):
        return "none"
    return f"{100 * value:.1f} points" if metric.is_share else f"{value:.1%}"


def look_note(table: Table) -> list[str]:
    """Return a sentence on which looks are used and which seeds count; none of a single look."""
    looks = [len(seeds) for seeds in table.sweep.look_seeds]
    if len(looks) < 2:
        return []
    used = max((row.measured.looks_used for row in table.rows), default=0)
    began = max((len(row.measured.scores) for row in table.rows), default=0) > (looks[used - 1] if used else 0)
    said = f"{planned_looks(looks)}: {used} of {len(looks)} used"
    told = f"verdicts are of the first {counted(looks[used - 1], 'seed')}" if used else "no verdict before the first"
    said += f"; {told}"
    if began and used < len(looks):
        said += f", and further ones count for nothing until look {used + 1} is complete (means and costs are over all)"
    return [f"{said}. What is better or worse at one look stays so."]


def planned_looks(looks: Sequence[int]) -> str:
    """Return in words at which numbers of seeds a sweep is looked at, and the levels."""
    shares = [f"{level:.3f}" for level in levels(looks)]
    seeds = [*map(str, looks[:-1]), counted(looks[-1], "seed")]
    return f"Looks at {listed(seeds)}, at levels {listed(shares)}"
