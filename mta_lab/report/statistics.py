"""Compare all rows of a table with their baselines, and adjust over all of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mta_lab.stats.blocks import Noise, compare_paired, compare_unpaired
from mta_lab.stats.contrasts import LEVEL, Array, Contrast, adjusted
from mta_lab.stats.proportions import Rates, compare_rates

Scores = Mapping[str, Mapping[int, float]]
"""row -> seed -> score"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences of rows from their baselines."""

    contrasts: Mapping[str, Contrast]
    p_holm: Mapping[str, float]
    """p-values after Holm's correction, over all rows that the table plans to compare"""
    planned: int
    """number of rows that the table plans to compare, finished or not"""
    noise: Mapping[str, Noise]
    """noise by baseline; empty for error rates, whose rows differ in noise"""


def compare(
    scores: Scores, baselines: Mapping[str, str], unshared: Collection[str], sequences: Mapping[str, int] | None
) -> Comparison:
    """Return the comparison of each row of `baselines` (row -> its baseline) over seeds.

    `unshared` has the rows on a random stream of their own. `sequences` has, by row, the number of
    sequences behind an error rate; None means that scores are perplexities.
    """
    compared = [row for row, baseline in baselines.items() if row != baseline]
    level = LEVEL / max(len(compared), 1)
    contrasts: dict[str, Contrast] = {}
    noise: dict[str, Noise] = {}
    for baseline in dict.fromkeys(baselines.values()):
        group = [row for row in compared if baselines[row] == baseline]
        if sequences is not None:
            rates = {row: _compare_rates(row, baseline, scores, sequences, level) for row in group}
            contrasts |= {row: contrast for row, contrast in rates.items() if contrast}
            continue
        paired = [row for row in [baseline, *group] if scores.get(row) and (row not in unshared or row == baseline)]
        found = compare_paired(_array(scores, paired), level) if baseline in paired else None
        if found:
            contrasts |= zip(paired[1:], found[0], strict=True)
            noise[baseline] = found[1]
        for row in group:
            ours, theirs = (np.array(list(scores.get(name, {}).values())) for name in (row, baseline))
            alone = compare_unpaired(ours, theirs) if row in unshared else None
            if alone:
                contrasts[row] = alone
    in_order = {row: contrasts[row] for row in compared if row in contrasts}
    return Comparison(contrasts=in_order, p_holm=_holm(in_order, compared), planned=len(compared), noise=noise)


def _array(scores: Scores, rows: Sequence[str]) -> Array:
    """Return the scores of `rows` by seed, NaN where a run is missing."""
    seeds = sorted({seed for row in rows for seed in scores[row]})
    return np.array([[scores[row].get(seed, np.nan) for seed in seeds] for row in rows])


def _compare_rates(
    row: str, baseline: str, scores: Scores, sequences: Mapping[str, int], level: float
) -> Contrast | None:
    ours, theirs = (
        Rates(rates=list(scores.get(name, {}).values()), sequences=sequences.get(name, 0)) for name in (row, baseline)
    )
    return compare_rates(ours, theirs, level) if ours.rates and theirs.rates else None


def _holm(contrasts: Mapping[str, Contrast], planned: Sequence[str]) -> dict[str, float]:
    """Return p-values after Holm's correction (Holm 1979).

    A planned row without results counts as p = 1, so that an early table is as strict as a full
    one.
    """
    if not planned:
        return {}
    p_values = adjusted(np.array([contrasts[row].p if row in contrasts else 1.0 for row in planned]))
    return {row: float(p) for row, p in zip(planned, p_values, strict=True) if row in contrasts}
