"""What the paper printed for a row: a type of its own, so that no measured column can show it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mta_lab.sweep import Row

Unit = Literal["relative", "points", "perplexity"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper ledger; empty where the paper has no such row."""

    value: float | None = None
    """of the sweep's quantity"""
    deviation: float | None = None
    """standard deviation over the paper's seeds, where it is printed"""
    delta: float | None = None
    """against the paper's own baseline; of that baseline None, or 0 where the paper prints differences only"""
    unit: Unit = "relative"
    """of the delta: relative for perplexities, absolute for error rates and where only a difference is printed"""
    domains: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    """cost over the paper's baseline's, by the names of `cost.COSTS`"""
    references: tuple[str, ...] = ()

    @property
    def scored(self) -> bool:
        """Whether the paper says anything about this row's score."""
        return self.value is not None or self.delta is not None


def published_of(row: Row, baseline: Row, quantity: str) -> Published:
    """The ledger's values for `row`, and how they compare with the ledger's values for `baseline`."""
    delta, unit = _delta(row, baseline, quantity)
    return Published(
        value=row.published.get(quantity),
        deviation=row.published.get("std"),
        delta=delta,
        unit=unit,
        domains=row.published.get("domains", {}),
        ratios=_ratios(row, baseline),
        references=row.references,
    )


def _delta(row: Row, baseline: Row, quantity: str) -> tuple[float | None, Unit]:
    absolute: Unit = "points" if quantity == "error_rate" else "perplexity"
    difference, zero = (printed.published.get(f"{quantity}_difference") for printed in (row, baseline))
    if difference is not None and zero is not None:
        return float(difference - zero), absolute
    if row.name == baseline.name:
        return None, "relative"
    value, base = row.published.get(quantity), baseline.published.get(quantity)
    if quantity == "error_rate":
        return (None if value is None or base is None else value - base), absolute
    return (value / base - 1 if value and base else None), "relative"


def _ratios(row: Row, baseline: Row) -> dict[str, float]:
    ours, base = _costs(row.published), _costs(baseline.published)
    return {name: value / base[name] for name, value in ours.items() if name in base}


def _costs(printed: Mapping[str, float]) -> dict[str, float]:
    """Printed costs by our names. Table 9 prints FLOPS, a rate: over its tokens a second they are FLOPs a token."""
    costs = {"parameters": printed.get("parameters"), "peak_memory": printed.get("memory_gb")}
    speed, rate = printed.get("thousand_tokens_per_second"), printed.get("flops_1e13")
    if speed:
        costs |= {"tokens_per_second": speed, "training_seconds": 1 / speed}
        costs |= {"flops_per_token": rate / speed} if rate else {}
    return {name: float(value) for name, value in costs.items() if value}
