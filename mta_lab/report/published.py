"""Hold the published values of a row, in a type that no column of measurements accepts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.metrics import Metric, Scale
from mta_lab.sweep import Row
from mta_lab.sweep.ledger import noise

ROUNDING = 1e-9  # room for binary rounding in a difference of two printed numbers


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row's published values; empty where nothing is published."""

    value: float | None = None
    """score by the sweep's metric"""
    deviation: float | None = None
    """standard deviation over the paper's runs, where it is printed"""
    runs: int | None = None
    """number of runs that `value` is the mean of, where it is printed"""
    delta: float | None = None
    """difference from the paper's own baseline

    None for that baseline itself, or 0 where the paper prints differences only.
    """
    scale: Scale = "relative"
    """scale of `delta`: the metric's, or its `printed_scale` where only differences are printed"""
    noise: float = 0.0
    """standard deviation of `value` by the paper's own noise: what it prints, or what the ledger
    states for a difference of two values, which is the square root of 2 times as much"""
    undecided: bool = False
    """True if `delta` is within the paper's own noise, so that its sign says nothing"""
    domains: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    """cost over that of the paper's baseline, by the names of `cost.COSTS`"""
    references: tuple[str, ...] = ()

    @property
    def scored(self) -> bool:
        """Return True if the paper prints a score or a difference for this row."""
        return self.value is not None or self.delta is not None


def published_of(row: Row, baseline: Row, metric: Metric) -> Published:
    """Return the published values of `row`, compared with those of `baseline`."""
    delta, scale = _delta(row, baseline, metric)
    return Published(
        value=row.published.get(metric.name),
        deviation=row.published.get("std"),
        runs=row.published.get("runs"),
        delta=delta,
        scale=scale,
        noise=max(row.published.get("std", 0.0), noise(row.references, metric) / math.sqrt(2)),
        undecided=bool(delta) and _undecided(row, baseline, metric),
        domains=row.published.get("domains", {}),
        ratios=_ratios(row, baseline),
        references=row.references,
    )


def _delta(row: Row, baseline: Row, metric: Metric) -> tuple[float | None, Scale]:
    difference, zero = (printed.published.get(f"{metric.name}_difference") for printed in (row, baseline))
    if difference is not None and zero is not None:
        return float(difference - zero), metric.printed_scale
    if row.name == baseline.name:
        return None, metric.scale
    value, base = row.published.get(metric.name), baseline.published.get(metric.name)
    return metric.difference_if_known(value, base), metric.scale


def _undecided(row: Row, baseline: Row, metric: Metric) -> bool:
    """Return True if two published values differ by no more than the paper's noise.

    Its noise is the larger of their printed standard deviations and what the ledger states.
    """
    for name in (metric.name, f"{metric.name}_difference"):
        if name in row.published and name in baseline.published:
            deviations = (printed.published.get("std", 0.0) for printed in (row, baseline))
            most = max(*deviations, noise((*row.references, *baseline.references), metric))
            return bool(abs(row.published[name] - baseline.published[name]) <= most + ROUNDING)
    return False


def _ratios(row: Row, baseline: Row) -> dict[str, float]:
    ours, base = _costs(row.published), _costs(baseline.published)
    return {name: value / base[name] for name, value in ours.items() if name in base}


def _costs(printed: Mapping[str, float]) -> dict[str, float]:
    """Return printed costs by our names; the time of a run follows from tokens a second.

    Table 9's FLOPs are left out: they are not measured operations.
    """
    costs = {"parameters": printed.get("parameters"), "peak_memory": printed.get("memory_gb")}
    if speed := printed.get("thousand_tokens_per_second"):
        costs |= {"tokens_per_second": speed, "training_seconds": 1 / speed}
    return {name: float(value) for name, value in costs.items() if value}
