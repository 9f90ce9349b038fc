"""The results of a bench: comparisons of contestants, as data. A ratio is a quotient of medians."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str, int, int], None]
"""`say(what, done, total)`: what is measured now, and how many of the bench's parts are behind it"""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One quantity of one contestant, as often as it was measured."""

    unit: str
    """'s' or 'bytes'"""
    values: tuple[float, ...]
    """one for each round"""

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the rounds lies below the first, a quarter above the second."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """The measurements of one contestant, by the quantity's name."""

    name: str
    measures: Mapping[str, Measure]
    facts: Mapping[str, str] = field(default_factory=dict)
    """what else a reader wants to know of it, ready to print"""
    published: Mapping[str, float] = field(default_factory=dict)
    """the paper's ratios to the baseline, by quantity, where it printed both"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Contestants that took turns on the same work."""

    title: str
    settings: Mapping[str, Any]
    """what they all worked on"""
    contestants: tuple[Contestant, ...]
    """the first one is what the others are compared with"""
    notes: tuple[str, ...] = ()
    """who did not take part and why, and what else to know"""

    @property
    def baseline(self) -> Contestant:
        """Return what the others are compared with."""
        return self.contestants[0]

    def ratio(self, contestant: Contestant, quantity: str) -> float | None:
        """Return the contestant's median over the baseline's.

        None where one of them was not measured, or the baseline's is zero.
        """
        ours, theirs = contestant.measures.get(quantity), self.baseline.measures.get(quantity)
        return ours.median / theirs.median if ours and theirs and theirs.median else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run of the bench."""

    level: str
    provenance: Mapping[str, Any]
    """machine, threads, versions, commit and dtype"""
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    """how it was measured"""


def as_tree(report: Report) -> dict[str, Any]:
    """Return the report for programs, at full precision; seconds and bytes."""
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
