"""Hold the results of a bench: comparisons of contestants. A ratio is one of medians."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str, int, int], None]
"""`say(what, done, total)`: what is measured now, and how many of the parts are done"""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measurement of one contestant, repeated in rounds."""

    unit: str
    """'s' or 'bytes'"""
    values: tuple[float, ...]
    """one value a round"""

    @property
    def median(self) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Return the first and the third quartile over the rounds."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """The measurements of one contestant, by name."""

    name: str
    measures: Mapping[str, Measure]
    facts: Mapping[str, str] = field(default_factory=dict)
    """further facts about it, as text"""
    published: Mapping[str, float] = field(default_factory=dict)
    """the paper's ratios to the baseline, by measurement, where both are printed"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Contestants that took turns on the same work."""

    title: str
    settings: Mapping[str, Any]
    """the sizes that all worked on"""
    contestants: tuple[Contestant, ...]
    """all contestants; the first is the baseline"""
    notes: tuple[str, ...] = ()
    """notes on who did not take part and why, and more"""

    @property
    def baseline(self) -> Contestant:
        """Return the contestant that the others are compared with."""
        return self.contestants[0]

    def ratio(self, contestant: Contestant, quantity: str) -> float | None:
        """Return the contestant's median over the baseline's.

        None where one of them was not measured, or the baseline's is zero.
        """
        ours, theirs = contestant.measures.get(quantity), self.baseline.measures.get(quantity)
        return ours.median / theirs.median if ours and theirs and theirs.median else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of one bench."""

    level: str
    provenance: Mapping[str, Any]
    """machine, threads, versions, commit and dtype"""
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    """notes on how it was measured"""


def as_tree(report: Report) -> dict[str, Any]:
    """Return the report for programs, at full precision, in seconds and bytes."""
    return {
        "level": report.level,
        "provenance": dict(report.provenance),
        "notes": list(report.notes),
        "comparisons": [_comparison_tree(comparison) for comparison in report.comparisons],
    }


def _comparison_tree(comparison: Comparison) -> dict[str, Any]:
    return {
        "title": comparison.title,
        "settings": dict(comparison.settings),
        "baseline": comparison.baseline.name,
        "notes": list(comparison.notes),
        "contestants": [
            {
                "name": contestant.name,
                "facts": dict(contestant.facts),
                "measures": {
                    quantity: {
                        "unit": measure.unit,
                        "median": measure.median,
                        "quartiles": list(measure.quartiles),
                        "values": list(measure.values),
                        "ratio": comparison.ratio(contestant, quantity),
                        "published_ratio": contestant.published.get(quantity),
                    }
                    for quantity, measure in contestant.measures.items()
                },
            }
            for contestant in comparison.contestants
        ],
    }
