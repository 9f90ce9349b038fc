"""Test whether rows go up and down together with the seed, as pairing takes for granted."""

from dataclasses import dataclass

import numpy as np

from mta_lab.stats.contrasts import Array

DRAWS, FEWEST_DRAWS = 2000, 200
SHUFFLED = 2_000_000  # scores in all: thousands of rows take fewer draws, and have more to tell
FEWEST = 3  # rows, and seeds


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """The gain of comparing rows seed by seed."""

    times: float
    """variance of a difference of two rows without pairing, over the one with it"""
    chance: float
    """share of draws that show as much, if each row's seeds are shuffled: without pairing it is
    above 5 % in 19 of 20 tables"""
    draws: int


def pairing_of(scores: Array) -> Pairing | None:
    """Return the gain that positive `scores`, rows x seeds, tell of.

    None for fewer than three rows or seeds, and where nothing varies. The permutation test holds
    however rows differ in noise, as only a row's own scores are exchanged.
    """
    rows, seeds = scores.shape
    if rows < FEWEST or seeds < FEWEST:
        return None
    logs = np.log(scores)
    apart = logs - logs.mean(axis=1, keepdims=True)
    within = float((apart**2).sum())
    shared = rows * float((apart.mean(axis=0) ** 2).sum())
    if within - shared <= 1e-12 * within:
        return None
    count = max(FEWEST_DRAWS, min(DRAWS, SHUFFLED // apart.size))
    shuffled = np.random.default_rng(0).permuted(np.broadcast_to(apart, (count, rows, seeds)), axis=2)
    draws = rows * (shuffled.mean(axis=1) ** 2).sum(axis=1)
    return Pairing(
        times=within / (rows * (seeds - 1)) / ((within - shared) / ((rows - 1) * (seeds - 1))),
        chance=float((draws >= shared * (1 - 1e-12)).mean()),
        draws=count,
    )
