"""A metric as a value: what scores a run, which way is better, how scores compare and are written.

Plain data, without torch: records, tables, pages and MLflow ask it instead of comparing names.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

from components.registry import TABLES, ComponentError

Estimator = Literal["log_ratio", "proportions"]
"""how rows are compared over seeds:
paired differences of logarithms in randomised blocks, or clustered proportions"""
Scale = Literal["relative", "points", "absolute"]
"""of a difference: relative (-0.02 is 2 % lower), percentage
points (-0.02 is 2 points lower), or the metric's own"""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Name, direction, statistics and format of a score."""

    name: str
    """as in records, files and MLflow: `error_rate`"""
    estimator: Estimator
    """'log_ratio' for positive scores whose ratios matter,
    'proportions' for shares of what is scored, 0 to 1"""
    higher_is_better: bool = False
    least: float = 0.0
    """the lowest score that there can be"""
    most: float = math.inf
    """the highest one"""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ComponentError(f"metric: name: got '{self.name}', allowed: a lower-case name like error_rate")
        low, high = (0.0, 1.0) if self.is_share else (0.0, math.inf)
        if not low <= self.least < self.most <= high:
            raise ComponentError(
                f"metric {self.name}: got scores from {self.least:g} to {self.most:g}, allowed for the estimator "
                f"'{self.estimator}': from {low:g} to {high:g}"
            )

    @property
    def is_share(self) -> bool:
        """Return whether scores are shares.

        They are written in percent, compared in points, and have an interval of their own.
        """
        return self.estimator == "proportions"

    @property
    def words(self) -> str:
        """Return the name for people: `error rate`."""
        return self.name.replace("_", " ")

    @property
    def unit(self) -> str:
        """Return the unit that scores are written in: `%`, or nothing."""
        return "%" if self.is_share else ""

    @property
    def heading(self) -> str:
        """Return the name with the unit, for columns and axes: `error rate, %`."""
        return f"{self.words}, {self.unit}" if self.unit else self.words

    @property
    def scale(self) -> Scale:
        """Return the scale of differences between measured scores."""
        return "points" if self.is_share else "relative"

    @property
    def printed_scale(self) -> Scale:
        """Return the scale of differences that a paper prints without the scores themselves."""
        return "points" if self.is_share else "absolute"

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Return what a search does with scores, in Optuna's words."""
        return "maximize" if self.higher_is_better else "minimize"

    def written(self, score: float) -> str:
        """Return a score as tables show it, in `unit`."""
        return f"{100 * score:.1f}" if self.is_share else f"{score:.2f}"

    def difference(self, score: float, other: float) -> float:
        """Return how far `score` lies above `other`, on `scale`.

        For a ratio, `other` is not 0.
        """
        return score - other if self.is_share else score / other - 1

    def difference_if_known(self, score: float | None, other: float | None) -> float | None:
        """Return `difference`, or None where one of the two is missing or has no ratio."""
        if score is None or other is None or (not self.is_share and not other):
            return None
        return self.difference(score, other)

    def loss(self, score: float) -> float:
        """Return a number that is lower for a better score: to sort by, and to find the best."""
        return -score if self.higher_is_better else score

    def is_better(self, difference: float) -> bool:
        """Return whether a difference from a baseline, of either scale, is an improvement."""
        return self.loss(difference) < 0


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The result of an evaluation on held-out data."""

    domains: Mapping[str, float]
    """a score for each domain"""
    scored: Mapping[str, int] = field(default_factory=dict)
    """how many tokens or sequences each score is over"""

    @property
    def mean(self) -> float:
        """Return the plain mean over the domains, as the paper averages."""
        return sum(self.domains.values()) / len(self.domains)


PERPLEXITY = Metric(name="perplexity", estimator="log_ratio", least=1.0)
ERROR_RATE = Metric(name="error_rate", estimator="proportions", most=1.0)
METRICS: dict[str, Metric] = {}
"""every metric that a loaded component is scored by, by name"""
TABLES.append(METRICS)


def metric_named(name: str) -> Metric | None:
    """Return the metric of that name, of those that ship and of loaded components, or None.

    Only a name that is none of the paper's metrics loads what ships, and torch with it.
    """
    if name not in METRICS:
        import_module("components.shipped")
    return METRICS.get(name)


def declare(metric: Metric) -> Metric:
    """Return the metric, from now on known by its name.

    Raises ComponentError if another metric has that name.
    """
    if METRICS.setdefault(metric.name, metric) != metric:
        raise ComponentError(f"metric {metric.name}: there is another metric of this name; choose another name")
    return metric


declare(PERPLEXITY)
declare(ERROR_RATE)
