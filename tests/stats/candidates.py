"""The models of the noise that were compared: false alarms and power of each, by simulation.

`python -m tests.stats.candidates` prints the table of docs/statistics.md. It takes some minutes.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import stdtr

from mta_lab.stats.blocks import Blocks
from mta_lab.stats.contrasts import LEVEL, Array
from mta_lab.stats.simulation import CHUNK, Scenario
from mta_lab.stats.variances import moderated
from tests.stats.test_simulation import EFFECT, NOISE, ROWS, WORLDS

DRAWS, SEEDS = 20_000, 5
Candidate = Callable[[Array], Array]
"""scores of (tables, rows, seeds) -> p-values of (tables, rows - 1)"""


def p_values(effects: Array, variances: Array, degrees: Array | float) -> Array:
    return 2 * np.asarray(stdtr(degrees, -np.abs(effects) / np.sqrt(variances)))


def effects_of(scores: Array) -> Array:
    means = scores.mean(axis=2)
    return means[:, 1:] - means[:, :1]


def pooled(scores: Array) -> Array:
    """One variance for all rows: what this project did before."""
    rows, seeds = scores.shape[1:]
    centred = scores - scores.mean(axis=2, keepdims=True)
    residuals = centred - centred.mean(axis=1, keepdims=True)
    degrees = (rows - 1) * (seeds - 1)
    variances = (residuals**2).sum(axis=(1, 2)) / degrees
    return p_values(effects_of(scores), 2 * variances[:, None] / seeds, degrees)


def paired(scores: Array) -> Array:
    """A paired t-test for each row alone."""
    differences = scores[:, 1:] - scores[:, :1]
    seeds = scores.shape[2]
    return p_values(effects_of(scores), differences.var(axis=2, ddof=1) / seeds, seeds - 1)


def moderated_differences(scores: Array) -> Array:
    """The variances of paired differences, moderated: all of them hold the baseline's noise."""
    seeds = scores.shape[2]
    own = (scores[:, 1:] - scores[:, :1]).var(axis=2, ddof=1)
    shrunk, prior = moderated(own, np.full(own.shape[1], seeds - 1.0))
    return p_values(effects_of(scores), shrunk / seeds, prior[:, None] + seeds - 1)


def own_variances(scores: Array, shrink: Callable[[Array, Array], tuple[Array, Array]]) -> Array:
    """The variance of each row's residuals, shrunk by `shrink`; Satterthwaite's degrees."""
    rows, seeds = scores.shape[1:]
    blocks = Blocks(np.ones((rows, seeds), dtype=bool))
    residuals = blocks.residuals(scores)[1]
    variances, prior = shrink((residuals**2).sum(axis=2) / blocks.degrees, blocks.degrees)
    parts = variances / np.sqrt(blocks.degrees + prior[:, None])
    total = variances[:, 1:] + variances[:, :1]
    return p_values(effects_of(scores), total / seeds, total**2 / (parts[:, 1:] ** 2 + parts[:, :1] ** 2))


def ours(scores: Array) -> Array:
    return Blocks(np.ones(scores.shape[1:], dtype=bool)).fit(scores).p_values


CANDIDATES: dict[str, Candidate] = {
    "one variance for all rows": pooled,
    "paired t, row by row": paired,
    "paired differences, moderated": moderated_differences,
    "a variance a row (Welch)": lambda scores: own_variances(
        scores, lambda variances, degrees: (variances, np.zeros(len(variances)))
    ),
    "all rows moderated, the baseline too": lambda scores: own_variances(scores, moderated),
    "**rows moderated, the baseline its own**": ours,
}


def shares(world: Scenario, effect: float, draws: int = DRAWS) -> dict[str, float]:
    """The share of tables in which a candidate calls any row (no effect), or the second row."""
    generator, seen = np.random.default_rng(0), dict.fromkeys(CANDIDATES, 0)
    for _ in range(draws // CHUNK):
        scores = world.draw(generator, (CHUNK, ROWS, SEEDS)) * world.deviations[:, None]
        scores[:, 1] += effect
        for name, candidate in CANDIDATES.items():
            called = candidate(scores) < LEVEL / (ROWS - 1)
            seen[name] += int((called[:, 0] if effect else called.any(axis=1)).sum())
    return {name: count / draws for name, count in seen.items()}


def main() -> None:
    alarms = [shares(world, 0.0) for world in WORLDS if world.name != "rows as noisy as these"]
    power = shares(WORLDS[0], EFFECT)
    names = [world.name for world in WORLDS if world.name != "rows as noisy as these"]
    print(f"| model of the noise | {' | '.join(names)} | power for {math.expm1(EFFECT):.0%} |")
    print(f"|:--|{'--:|' * (len(names) + 1)}")
    for name in CANDIDATES:
        print(f"| {name} | {' | '.join(f'{one[name]:.3f}' for one in alarms)} | {power[name]:.2f} |")
    print(f"{DRAWS:,} tables of {ROWS} rows and {SEEDS} seeds, noise of one run {NOISE:.2%}")


if __name__ == "__main__":
    main()
