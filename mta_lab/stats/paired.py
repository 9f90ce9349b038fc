"""Compare perplexities with the baseline's: paired by seed, or on a stream of their own."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from mta_lab.stats.blocks import ROUNDING, Blocks
from mta_lab.stats.contrasts import LEVEL, Array, Contrast, Question, seeds_needed
from mta_lab.stats.power import power_of, seen_size, with_seeds

LARGEST = 700.0  # exp of more is no number any more


def relative(difference: float) -> float:
    """Return a difference of logarithms as a relative change."""
    return math.expm1(min(difference, LARGEST))


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The residual of rows that share a baseline: the noise floor of their differences."""

    deviation: float
    """standard deviation of one run around row and seed effects, relative, pooled over rows"""
    degrees: int
    """residual degrees of freedom: (rows - 1) (seeds - 1) where no run is missing"""
    rows: tuple[float, ...]
    """the standard deviation by row, the baseline first: what differences are tested against"""
    prior: float
    """degrees of freedom that the other rows lend each row's variance; infinite if all are alike"""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """The differences that a table will see, as far as its noise is known before it is complete."""

    limit: float
    """the smallest one that is seen with `POWER`"""
    power: float
    """chance of seeing `Question.effect`"""
    seeds_needed: int
    """in all, to see it with `POWER`"""


def sight(noise: Noise, seeds: int, question: Question) -> Sight:
    """Return what the row of median noise will see under so many seeds, 2 or more."""
    base, *others = np.maximum(np.log1p(noise.rows), ROUNDING) ** 2  # rows of equal scores have none
    row = float(np.median(others))
    own = (seeds - 1) * (1 - 1 / len(noise.rows))
    degrees = (row + base) ** 2 / (row**2 / (own + noise.prior) + base**2 / own)
    error = math.sqrt((row + base) / seeds)
    stated = math.log1p(question.effect) / error
    return Sight(
        limit=relative(seen_size(degrees, question.level) * error),
        power=power_of(stated, degrees, question.level),
        seeds_needed=seeds_needed(with_seeds(stated, degrees, seeds, question.level)),
    )


def compare_paired(scores: Array, question: Question) -> tuple[list[Contrast | None], Noise] | None:
    """Return the contrast of each further row with the first one, and the noise of all rows.

    `scores` are perplexities, rows x seeds, NaN where a run is missing. None in place of a contrast
    where a row's runs are too few to tell noise from effect, and in place of all where the first
    row's are.
    """
    there = ~np.isnan(scores)
    telling = there.sum(axis=1) > 1  # the noise of a single run is not known
    if len(scores) < 2 or not telling[0] or telling.sum() < 2:
        return None
    seeds = there[telling].any(axis=0)
    blocks = Blocks.of(there[telling][:, seeds])
    if not blocks.connected or blocks.total_degrees < 1:
        return None
    logs = np.log(np.where(blocks.there, scores[telling][:, seeds], 1.0))
    fit, (_, residuals) = blocks.fit(logs), blocks.residuals(logs)
    deviation = math.sqrt((residuals**2).sum() / blocks.total_degrees)
    found: list[Contrast | None] = [
        _contrast(effect, error, degrees, int(runs), question)
        for effect, error, degrees, runs in zip(
            *(each.tolist() for each in (fit.effects, fit.errors, fit.degrees)), blocks.runs[1:], strict=True
        )
    ]
    contrasts = iter(found)
    noise = Noise(
        deviation=_floored(deviation),
        degrees=blocks.total_degrees,
        rows=tuple(map(_floored, np.sqrt(fit.variances).tolist())),
        prior=float(fit.prior),
    )
    return [next(contrasts) if tells else None for tells in telling[1:]], noise


def _floored(deviation: float) -> float:
    return relative(deviation) if deviation > 2 * ROUNDING else 0.0


def compare_unpaired(scores: Array, baseline: Array, question: Question) -> Contrast | None:
    """Compare a row on a random stream of its own with the baseline, by the two-sample t-test.

    `scores` and `baseline` are perplexities, one a finished run; their logarithms are tested. None
    for fewer than two runs of either.

    Such a row shares neither initial values nor batches with the baseline, so a seed's luck does
    not cancel: its contrast has the variance 2 (seed + residual) / S where a paired row's has 2
    residual / S. Held against the paired rows' noise it would be a false alarm by construction, and
    inside it, it would inflate the noise of all other rows; it does neither. Both samples come from
    the same configuration if it is an A/A row, hence one variance for both.
    """
    if len(scores) < 2 or len(baseline) < 2:
        return None
    both = np.log(scores), np.log(baseline)
    degrees = len(scores) + len(baseline) - 2
    variance = sum(((logs - logs.mean()) ** 2).sum() for logs in both) / degrees
    error = math.sqrt(variance * (1 / len(scores) + 1 / len(baseline)))
    effect = float(both[0].mean() - both[1].mean())
    return _contrast(effect, error, degrees, min(map(len, both)), question)


def _contrast(effect: float, error: float, degrees: float, seeds: int, question: Question) -> Contrast | None:
    """Return a difference of logarithms with its standard `error` as a contrast, by Student's t.

    None where the error is not known (NaN).
    """
    if math.isnan(error):
        return None
    effect = 0.0 if abs(effect) < ROUNDING else effect
    if error < 2 * ROUNDING:
        return _exact(effect, seeds, question)
    reach = -float(stdtrit(degrees, LEVEL / 2)) * error
    stated = math.log1p(question.effect) / error
    inside = min(math.log1p(question.within) - effect, effect - math.log1p(-question.within))
    return Contrast(
        delta=relative(effect),
        low=relative(effect - reach),
        high=relative(effect + reach),
        p=2 * float(stdtr(degrees, -abs(effect) / error)),
        p_equal=float(stdtr(degrees, -inside / error)),
        seeds=seeds,
        find_limit=lambda: relative(seen_size(degrees, question.level) * error),
        power_with=with_seeds(stated, degrees, seeds, question.level),
    )


def _exact(effect: float, seeds: int, question: Question) -> Contrast:
    """Return a difference without any noise to test it against."""
    delta = relative(effect)
    equal = -question.within < delta < question.within
    return Contrast(
        delta=delta,
        low=delta,
        high=delta,
        p=0.0 if effect else 1.0,
        p_equal=0.0 if equal else 1.0,
        seeds=seeds,
        find_limit=lambda: 0.0,
        power_with=lambda _: 1.0,
    )
