"""Compare a row's cost with its baseline's, and its delta at equal operations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from scipy.special import stdtrit

from mta_lab.report.statistics import by_seed
from mta_lab.results.records import Record
from mta_lab.results.step_times import StepTime
from mta_lab.stats.contrasts import LEVEL, Question
from mta_lab.stats.paired import compare_paired

EXACT = ("parameters", "flops_per_token")
MEASURED = ("step_seconds", "training_seconds", "tokens_per_second", "peak_memory")
COMPARED = ("step_seconds", "peak_memory")
"""those of the measured ones whose ratios have intervals: the others are by the wall clock"""
COSTS = (*EXACT, *MEASURED)
MATTERS = 0.05
"""the difference of steps timed in turns that a row must exceed to count as slower or faster: the
same model in two processes differs by some percent, as its memory lies elsewhere"""
Runs = Mapping[str, Mapping[int, Record]]
"""row -> seed -> record"""
Costs = Mapping[str, Mapping[str, Mapping[int, float]]]
"""name of a cost -> row -> seed -> its value"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Means over a row's finished seeds; None for what no run recorded."""

    parameters: int
    flops_per_token: float | None
    """floating-point operations, forward and backward"""
    step_seconds: float | None
    """median time of an optimizer step, on a CPU by the processor's clock; mean time by the wall
    clock where runs of earlier versions have no other"""
    training_seconds: float | None
    """seconds that a run spends in its optimizer steps, by the clock"""
    tokens_per_second: float | None
    peak_memory: float | None
    """bytes"""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A cost over the baseline's, with the 95 % interval that the runs' spread gives it."""

    value: float
    low: float | None = None
    high: float | None = None
    """None where too few runs tell"""
    least: float = 1.0
    """the ratio above which a row costs more; below its inverse it costs less"""

    @property
    def apart(self) -> bool:
        """Return True if the whole interval says that the row costs more, or less."""
        return self.low is not None and self.high is not None and (self.low > self.least or self.high < 1 / self.least)

    @classmethod
    def in_turns(cls, found: StepTime) -> "Ratio":
        """Return the ratio of steps that were timed in turns."""
        return cls(value=found.value, low=found.low, high=found.high, least=1 + MATTERS)


@dataclass(frozen=True, kw_only=True)
class EqualFlops:
    """A delta after equally many operations, on the metric's scale."""

    delta: float
    low: float | None
    high: float | None
    """95 % interval by Student's t over the seeds; None for one seed"""


@dataclass(frozen=True, kw_only=True)
class RowCost:
    """The cost of a row, by itself and beside its baseline."""

    cost: Cost
    ratios: Mapping[str, Ratio]
    equal_flops: EqualFlops | None
    """None for a baseline, and where operations are unknown"""


def compare_costs(
    runs: Runs, parameters: Mapping[str, int], baselines: Mapping[str, str], in_turns: Mapping[str, StepTime] = {}
) -> dict[str, RowCost]:
    """Return the cost of each row of `baselines` (row -> its baseline).

    The ratio of a row's step is that of steps timed in turns, where there is one.
    """
    costs = recorded(runs)
    ratios = ratios_of(costs, parameters, baselines)
    for row, found in in_turns.items():
        ratios[row]["step_seconds"] = Ratio.in_turns(found)
    return {
        row: RowCost(
            cost=cost_of(row, parameters[row], costs),
            ratios=ratios[row],
            equal_flops=equal_flops_delta(runs[row], runs[baseline]) if row != baseline else None,
        )
        for row, baseline in baselines.items()
    }


def recorded(runs: Runs) -> Costs:
    """Return what the runs recorded, where it is known: in a record, 0 means unknown.

    Where one run lacks its median time of a step, all have the mean: the two are not compared.
    """
    every = [record for found in runs.values() for record in found.values() if record.config["training"]["steps"]]
    medians = all(record.step_seconds for record in every)

    def value(record: Record, name: str) -> float:
        if name == "step_seconds" and not medians:
            return (record.training_seconds or 0.0) / max(1, record.steps)
        found: float | None = getattr(record, name)
        return found or 0.0

    return {
        name: {
            row: {seed: value(record, name) for seed, record in found.items() if value(record, name)}
            for row, found in runs.items()
        }
        for name in COSTS[1:]
    }


def cost_of(row: str, parameters: int, costs: Costs) -> Cost:
    """Return the means over the row's runs."""
    means = {name: fmean(found[row].values()) if found.get(row) else None for name, found in costs.items()}
    return Cost(parameters=parameters, **means)


def ratios_of(costs: Costs, parameters: Mapping[str, int], baselines: Mapping[str, str]) -> dict[str, dict[str, Ratio]]:
    """Return each row's costs over its baseline's (row -> baseline), by name, where both are known.

    Those in COMPARED have intervals, made as those of scores are: paired by seed, since the runs of
    a seed follow each other, with the noise of the table's runs. Parameters and operations have no
    noise.
    """
    found: dict[str, dict[str, Ratio]] = {row: {} for row in baselines}
    for row, baseline in baselines.items():
        found[row]["parameters"] = _exact(parameters[row] / parameters[baseline])
    for name, by_row in costs.items():
        for baseline in dict.fromkeys(baselines.values()):
            rows = [baseline, *(row for row, base in baselines.items() if base == baseline != row)]
            known = [row for row in rows if by_row.get(row)]
            if baseline in known:
                means = {row: fmean(by_row[row].values()) / fmean(by_row[baseline].values()) for row in known}
                ratios = {row: _exact(mean) if name in EXACT else Ratio(value=mean) for row, mean in means.items()}
                if name in COMPARED:
                    ratios |= _intervals({row: by_row[row] for row in known})
                for row, ratio in ratios.items():
                    found[row][name] = ratio
    return found


def _exact(value: float) -> Ratio:
    return Ratio(value=value, low=value, high=value)


def _intervals(costs: Mapping[str, Mapping[int, float]]) -> dict[str, Ratio]:
    """Return the ratio of each further row's costs (row -> seed -> cost) to the first one's."""
    compared = compare_paired(by_seed(costs.values()), Question(level=LEVEL))
    if compared is None:
        return {}
    return {
        row: Ratio(value=1 + one.delta, low=1 + one.low, high=1 + one.high)
        for row, one in zip(list(costs)[1:], compared[0], strict=True)
        if one
    }


def equal_flops_delta(row: Mapping[int, Record], baseline: Mapping[int, Record]) -> EqualFlops | None:
    """Return the row's delta after as many operations as the cheaper of the two does in all.

    The validation curve of the costlier one is read at the step that it had reached by then: by
    linear interpolation of log score over log step (of the score itself for shares, which may be
    zero). Curves are compared seed by seed. Operations are counted, so that the step is the same on
    every machine.

    The costlier one is at a disadvantage: its learning rate has not decayed at that step. None
    where operations are unknown, or where that step comes before the first validation.
    """
    shared = sorted(row.keys() & baseline.keys())
    ours, theirs = [row[seed] for seed in shared], [baseline[seed] for seed in shared]
    if not shared or not all(_operations(record) for record in (*ours, *theirs)):
        return None
    ratio = fmean(map(_operations, ours)) / fmean(map(_operations, theirs))
    ends = [_read_at(record, min(1.0, 1 / ratio)) for record in ours]
    base_ends = [_read_at(record, min(1.0, ratio)) for record in theirs]
    pairs = [(end, base) for end, base in zip(ends, base_ends, strict=True) if end is not None and base is not None]
    if len(pairs) < len(shared):
        return None
    differences = [end - base for end, base in pairs]
    delta, several = fmean(differences), len(differences) > 1
    reach = -float(stdtrit(len(pairs) - 1, LEVEL / 2)) * stdev(differences) / math.sqrt(len(pairs)) if several else 0.0
    low, delta, high = (
        each if ours[0].metric.is_share else math.expm1(each) for each in (delta - reach, delta, delta + reach)
    )
    return EqualFlops(delta=delta, low=low if several else None, high=high if several else None)


def _operations(record: Record) -> float:
    """Return the operations of a whole training; 0 where they are unknown."""
    tokens = record.tokens_per_second * (record.training_seconds or 0.0)  # the times cancel
    return (record.flops_per_token or 0.0) * tokens


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
