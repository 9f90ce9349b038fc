"""Compare all rows of a table with their baselines, look by look, and adjust over all of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mta_lab.stats.contrasts import EFFECT, EQUAL_WITHIN, Array, Contrast, Question, adjusted
from mta_lab.stats.looks import adjusted_for_look, levels
from mta_lab.stats.paired import Noise, compare_paired, compare_unpaired
from mta_lab.stats.proportions import Rates, compare_rates

Scores = Mapping[str, Mapping[int, float]]
"""row -> seed -> score"""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of a comparison that are set before it: when it is looked at, and what is asked."""

    looks: Sequence[Sequence[int]] = ()
    """the seeds that each look counts, each look with those of the one before; empty: one look at
    all seeds that there are"""
    within: float = EQUAL_WITHIN
    effect: float = EFFECT


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences of rows from their baselines."""

    contrasts: Mapping[str, Contrast]
    """of the last look that a row has completed, or else of what is there"""
    p_holm: Mapping[str, float]
    """of the rows with a completed look: p-values after Holm's correction over all rows that the
    table plans to compare, and for the looks"""
    p_equal: Mapping[str, float]
    """the same of the tests for equality"""
    called: Mapping[str, float]
    """the delta of the look that p_holm is of"""
    looks: Mapping[str, int]
    """number of looks that a row has completed, if any"""
    levels: Sequence[float]
    """of the looks"""
    terms: Terms
    planned: int
    """number of rows that the table plans to compare, finished or not"""
    noise: Mapping[str, Noise]
    """noise by baseline; empty for error rates, whose rows differ in noise"""
    deviations: Mapping[str, float]
    """noise by row: the standard deviation of one run, relative; empty for error rates"""


@dataclass(kw_only=True)
class _Found:
    """The results of the looks, collected one after the other."""

    contrasts: dict[str, Contrast] = field(default_factory=dict)
    p_holm: dict[str, float] = field(default_factory=dict)
    p_equal: dict[str, float] = field(default_factory=dict)
    called: dict[str, float] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    noise: dict[str, Noise] = field(default_factory=dict)
    deviations: dict[str, float] = field(default_factory=dict)


def compare(
    scores: Scores,
    baselines: Mapping[str, str],
    unshared: Collection[str],
    sequences: Mapping[str, int] | None,
    terms: Terms | None = None,
) -> Comparison:
    """Return the comparison of each row of `baselines` (row -> its baseline) over seeds.

    `unshared` has the rows on a random stream of their own. `sequences` has, by row, the number of
    sequences behind an error rate; None means that scores are perplexities.

    A row is tested at each look of which it and its baseline have all seeds; a planned row that is
    not counts as p = 1 there, so that an early table is as strict as a full one.
    """
    terms = terms or Terms()
    looks = terms.looks or (tuple(sorted({seed for row in baselines for seed in scores.get(row, {})})),)
    compared = [row for row, baseline in baselines.items() if row != baseline]
    shares = levels([max(len(seeds), 1) for seeds in looks])
    found = _Found()
    for seeds, level in zip(looks, shares, strict=True):
        counted = {row: {seed: of[seed] for seed in seeds if seed in of} for row, of in scores.items()}
        question = Question(level=level / max(len(compared), 1), effect=terms.effect, within=terms.within)
        contrasts, noise, deviations = _look(counted, baselines, unshared, sequences, question)
        complete = {row for row in baselines if len(counted.get(row, {})) == len(seeds) > 0}
        tested = [row for row in contrasts if row in complete and baselines[row] in complete]
        over = {baselines[row] for row in tested}
        found.noise |= {name: of for name, of in noise.items() if name in over or name not in found.noise}
        found.deviations |= {
            row: of for row, of in deviations.items() if baselines[row] in over or row not in found.deviations
        }
        _take(found, contrasts, tested, compared, level)
    return Comparison(
        contrasts={row: found.contrasts[row] for row in compared if row in found.contrasts},
        p_holm={row: found.p_holm[row] for row in compared if row in found.p_holm},
        p_equal=found.p_equal,
        called=found.called,
        looks=found.looks,
        levels=shares,
        terms=replace(terms, looks=looks),
        planned=len(compared),
        noise=found.noise,
        deviations=found.deviations,
    )


def _look(
    scores: Scores,
    baselines: Mapping[str, str],
    unshared: Collection[str],
    sequences: Mapping[str, int] | None,
    question: Question,
) -> tuple[dict[str, Contrast], dict[str, Noise], dict[str, float]]:
    """Return the contrasts that these scores tell of, and the noise by baseline and by row."""
    contrasts: dict[str, Contrast] = {}
    noise: dict[str, Noise] = {}
    deviations: dict[str, float] = {}
    for baseline in dict.fromkeys(baselines.values()):
        group = [row for row, other in baselines.items() if row != other == baseline]
        if sequences is not None:
            contrasts |= _rates(baseline, group, scores, sequences, question)
            continue
        contrasts |= _unpaired(baseline, [row for row in group if row in unshared], scores, question)
        rows = [row for row in [baseline, *group] if scores.get(row) and (row not in unshared or row == baseline)]
        found = compare_paired(by_seed([scores[row] for row in rows]), question) if baseline in rows else None
        if found:
            contrasts |= {row: contrast for row, contrast in zip(rows[1:], found[0], strict=True) if contrast}
            noise[baseline] = found[1]
            deviations |= zip([row for row in rows if len(scores[row]) > 1], found[1].rows, strict=True)
    return contrasts, noise, deviations


def _take(
    found: _Found, contrasts: Mapping[str, Contrast], tested: Sequence[str], planned: Sequence[str], level: float
) -> None:
    """Add the results of a look at `level` to those of the looks before it."""
    for row, contrast in contrasts.items():
        if row in tested or row not in found.contrasts:
            found.contrasts[row] = contrast
    differ, equal = (
        adjusted(np.array([getattr(contrasts[row], name) if row in tested else 1.0 for row in planned]))
        for name in ("p", "p_equal")
    )
    for row, p_differ, p_same in zip(planned, differ.tolist(), equal.tolist(), strict=True):
        if row not in tested:
            continue
        found.looks[row] = found.looks.get(row, 0) + 1
        p_look = adjusted_for_look(p_differ, level)
        if p_look <= found.p_holm.get(row, 1.0):
            found.p_holm[row], found.called[row] = p_look, contrasts[row].delta
        found.p_equal[row] = min(adjusted_for_look(p_same, level), found.p_equal.get(row, 1.0))


def _unpaired(
    baseline: str, group: Sequence[str], scores: Scores, question: Question
) -> Iterator[tuple[str, Contrast]]:
    for row in group:
        ours, theirs = (np.array(list(scores.get(name, {}).values())) for name in (row, baseline))
        if contrast := compare_unpaired(ours, theirs, question):
            yield row, contrast


def _rates(
    baseline: str, group: Sequence[str], scores: Scores, sequences: Mapping[str, int], question: Question
) -> Iterator[tuple[str, Contrast]]:
    for row in group:
        ours, theirs = (
            Rates(rates=list(scores.get(name, {}).values()), sequences=sequences.get(name, 0))
            for name in (row, baseline)
        )
        contrast = compare_rates(ours, theirs, question) if ours.rates and theirs.rates else None
        if contrast:
            yield row, contrast


def by_seed(rows: Collection[Mapping[int, float]]) -> Array:
    """Return the values of rows (seed -> value) as rows x seeds, NaN where a run is missing."""
    seeds = sorted({seed for row in rows for seed in row})
    return np.array([[row.get(seed, np.nan) for seed in seeds] for row in rows])
