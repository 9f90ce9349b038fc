"""Compare a row's cost with its baseline's, and its delta at equal training time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from mta_lab.results.records import Record

COSTS = ("parameters", "tokens_per_second", "training_seconds", "peak_memory", "flops_per_token")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Means over a row's finished seeds; None for what no run recorded."""

    parameters: int
    tokens_per_second: float | None
    training_seconds: float | None
    """seconds that a run spends in its optimizer steps"""
    peak_memory: float | None
    """bytes"""
    flops_per_token: float | None
    """floating-point operations, forward and backward"""

    def ratios(self, baseline: "Cost") -> dict[str, float]:
        """Return this row's cost over the baseline's, by name, where both are known."""
        pairs = {name: (getattr(self, name), getattr(baseline, name)) for name in COSTS}
        return {name: ours / base for name, (ours, base) in pairs.items() if ours is not None and base}


def cost_of(parameters: int, records: Sequence[Record]) -> Cost:
    """Return the mean of what the runs of a model recorded; in a record, 0 means unknown."""

    def mean(name: str) -> float | None:
        known = [value for record in records if (value := getattr(record, name))]
        return fmean(known) if known else None

    return Cost(parameters=parameters, **{name: mean(name) for name in COSTS[1:]})


def equal_time_delta(row: Mapping[int, Record], baseline: Mapping[int, Record]) -> float | None:
    """Return the row's delta after the training time of the faster of the two.

    The validation curve of the slower one is read at the step that it had reached by then: by
    linear interpolation of log score over log step (of the score itself for shares, which may be
    zero). Times are means over seeds; curves are compared seed by seed. The result is on the
    metric's scale: relative for perplexity, absolute for shares.

    The slower one is at a disadvantage: its learning rate has not decayed at that step. None where
    times are unknown, or where that step comes before the first validation.
    """
    shared = sorted(row.keys() & baseline.keys())
    ours, theirs = [row[seed] for seed in shared], [baseline[seed] for seed in shared]
    if not shared or not all(record.training_seconds for record in (*ours, *theirs)):
        return None
    ratio = sum(r.training_seconds or 0.0 for r in ours) / sum(r.training_seconds or 0.0 for r in theirs)
    ends = [_read_at(record, min(1.0, 1 / ratio)) for record in ours]
    base_ends = [_read_at(record, min(1.0, ratio)) for record in theirs]
    pairs = [(end, base) for end, base in zip(ends, base_ends, strict=True) if end is not None and base is not None]
    if len(pairs) < len(shared):
        return None
    difference = fmean(end - base for end, base in pairs)
    return difference if ours[0].metric.is_share else math.expm1(difference)


def _read_at(record: Record, part: float) -> float | None:
    """Return the score after a part (0 to 1) of the run, or None before the first validation.

    It is the score's logarithm, unless the metric is a share.
    """
    if not record.validations:
        return None
    steps, scores = (np.array(column, dtype=float) for column in zip(*record.validations, strict=True))
    step = part * steps[-1]
    if step < steps[0] or not np.isfinite(scores).all():
        return None
    heights = scores if record.metric.is_share else np.log(scores)
    return float(np.interp(np.log(step), np.log(steps), heights))
