"""All rows of a table against their baselines, and the verdict over all of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mta_lab.stats.blocks import Noise, Scores, compare_paired, compare_unpaired
from mta_lab.stats.contrasts import LEVEL, Contrast
from mta_lab.stats.proportions import Rates, compare_rates


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The rows' differences, each against its own baseline."""

    contrasts: Mapping[str, Contrast]
    p_holm: Mapping[str, float]
    """Holm-adjusted over all rows that the table plans to compare, whether they have results yet or not"""
    planned: int
    """how many those are"""
    noise: Mapping[str, Noise]
    """by baseline; empty for error rates, whose rows differ in noise"""


def compare(
    scores: Scores, baselines: Mapping[str, str], unshared: Collection[str], sequences: Mapping[str, int] | None
) -> Comparison:
    """Compare each row of `baselines` (row -> its baseline) over seeds.

    `unshared` are the rows on a random stream of their own. `sequences`, by row, is what an error rate is over; without
    it, the scores are perplexities.
    """
    compared = [row for row, baseline in baselines.items() if row != baseline]
    level = LEVEL / max(len(compared), 1)
    contrasts: dict[str, Contrast] = {}
    noise: dict[str, Noise] = {}
    for baseline in dict.fromkeys(baselines.values()):
        group = [row for row in compared if baselines[row] == baseline]
        if sequences is not None:
            found = {row: _compare_rates(row, baseline, scores, sequences, level) for row in group}
            contrasts |= {row: contrast for row, contrast in found.items() if contrast}
            continue
        paired = {row: scores.get(row, {}) for row in [baseline, *group] if row not in unshared or row == baseline}
        among, residual = compare_paired(paired, baseline, level)
        contrasts |= among
        if residual:
            noise[baseline] = residual
        for row in group:
            alone = row in unshared and compare_unpaired(scores.get(row, {}), scores.get(baseline, {}))
            if alone:
                contrasts[row] = alone
    in_order = {row: contrasts[row] for row in compared if row in contrasts}
    return Comparison(contrasts=in_order, p_holm=_holm(in_order, compared), planned=len(compared), noise=noise)


def _compare_rates(
    row: str, baseline: str, scores: Scores, sequences: Mapping[str, int], level: float
) -> Contrast | None:
    ours, theirs = (
        Rates(rates=list(scores.get(name, {}).values()), sequences=sequences.get(name, 0)) for name in (row, baseline)
    )
    return compare_rates(ours, theirs, level) if ours.rates and theirs.rates else None


def _holm(contrasts: Mapping[str, Contrast], planned: Sequence[str]) -> dict[str, float]:
    """Return adjusted p-values.

    A planned row without results counts as p = 1, so that an early table is no laxer than a full one.
    """
    if not planned:
        return {}
    raw = {row: contrasts[row].p if row in contrasts else 1.0 for row in planned}
    adjusted, least = dict[str, float](), 0.0
    for rank, row in enumerate(sorted(raw, key=raw.__getitem__)):  # Holm 1979; statsmodels' collects garbage for 0.6 s
        least = adjusted[row] = min(1.0, max(least, raw[row] * (len(raw) - rank)))
    return {row: adjusted[row] for row in planned if row in contrasts}
