"""The values that the paper printed for a row: a type of its own, so that no measured column can show it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.metrics import Metric, Scale
from mta_lab.sweep import Row
from mta_lab.sweep.ledger import noise

ROUNDING = 1e-9  # of a difference of two printed numbers


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper ledger; empty where the paper has no such row."""

    value: float | None = None
    """by the sweep's metric"""
    deviation: float | None = None
    """standard deviation over the paper's runs, where it is printed"""
    runs: int | None = None
    """that the value is the mean of, where it is printed"""
    delta: float | None = None
    """against the paper's own baseline; of that baseline None, or 0 where the paper prints differences only"""
    scale: Scale = "relative"
    """of the delta: the metric's, or `printed_scale` where only a difference is printed"""
    undecided: bool = False
    """whether the delta is no more than the paper's own noise, so that its sign says nothing"""
    domains: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    """cost over the paper's baseline's, by the names of `cost.COSTS`"""
    references: tuple[str, ...] = ()

    @property
    def scored(self) -> bool:
        """Return whether the paper says anything about this row's score."""
        return self.value is not None or self.delta is not None


def published_of(row: Row, baseline: Row, metric: Metric) -> Published:
    """The ledger's values for `row`, and how they compare with the ledger's values for `baseline`."""
    delta, scale = _delta(row, baseline, metric)
    return Published(
        value=row.published.get(metric.name),
        deviation=row.published.get("std"),
        runs=row.published.get("runs"),
        delta=delta,
        scale=scale,
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
    """Return whether two printed values differ by no more than their std or the noise that the ledger states."""
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
    """Printed costs by our names; the time follows from tokens a second. Table 9's FLOPS are no measured operations."""
    costs = {"parameters": printed.get("parameters"), "peak_memory": printed.get("memory_gb")}
    if speed := printed.get("thousand_tokens_per_second"):
        costs |= {"tokens_per_second": speed, "training_seconds": 1 / speed}
    return {name: float(value) for name, value in costs.items() if value}
