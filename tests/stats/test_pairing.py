"""The gain of pairing, by simulation: found where rows share a seed's luck, rarely elsewhere."""

import numpy as np
import pytest

from mta_lab.stats.pairing import pairing_of


def tables(shared: float, count: int, *, rows: int = 6, seeds: int = 5) -> list[np.ndarray]:
    """Return tables whose rows share a part of each seed's luck; the last rows have more noise."""
    generator = np.random.default_rng(1)
    noise = np.where(np.arange(rows) < rows // 2, 0.01, 0.03)[:, None]
    return [
        30 * np.exp(shared * generator.normal(size=seeds) + noise * generator.normal(size=(rows, seeds)))
        for _ in range(count)
    ]


def test_without_shared_luck_few_tables_show_pairing() -> None:
    assert sum(pairing_of(table).chance < 0.05 for table in tables(0.0, 200)) / 200 < 0.09


def test_shared_luck_is_found() -> None:
    assert sum(pairing_of(table).chance < 0.05 for table in tables(0.04, 100)) / 100 > 0.9


def test_the_gain_is_the_ratio_of_the_variances() -> None:
    """With equal noise of 1 and shared luck of 1, an unpaired difference has twice the variance."""
    generator = np.random.default_rng(2)
    scores = np.exp(0.01 * (generator.normal(size=400) + generator.normal(size=(6, 400))))
    assert pairing_of(scores).times == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2)])
def test_few_rows_or_seeds_tell_nothing(shape: tuple[int, int]) -> None:
    assert pairing_of(np.exp(np.random.default_rng(0).normal(size=shape))) is None


def test_equal_scores_tell_nothing() -> None:
    assert pairing_of(np.ones((4, 4))) is None
