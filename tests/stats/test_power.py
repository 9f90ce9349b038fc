"""Limits, powers and numbers of seeds, against tests that are really made."""

import math

import numpy as np
import pytest
from scipy import stats

from mta_lab.stats.contrasts import MOST_SEEDS, Question
from mta_lab.stats.paired import compare_paired, sight
from mta_lab.stats.power import power_of, seen_size, with_seeds

LEVEL = 0.05 / 20


@pytest.mark.parametrize("degrees", [1.7, 4.0, 38.0])
def test_the_limit_is_the_effect_that_is_seen_in_four_of_five_tests(degrees: float) -> None:
    size, generator = seen_size(degrees, LEVEL), np.random.default_rng(1)
    drawn = (generator.standard_normal(40_000) + size) / np.sqrt(generator.chisquare(degrees, 40_000) / degrees)
    assert (drawn > stats.t.isf(LEVEL / 2, degrees)).mean() == pytest.approx(0.8, abs=0.01)
    assert power_of(size, degrees, LEVEL) == pytest.approx(0.8)


def test_more_seeds_see_more() -> None:
    power = with_seeds(2.0, 8.0, 3, LEVEL)
    assert power(3) == pytest.approx(power_of(2.0, 8.0, LEVEL))
    assert power(12) == pytest.approx(power_of(4.0, 44.0, LEVEL))
    assert sorted(map(power, range(2, 50))) == list(map(power, range(2, 50)))


@pytest.mark.parametrize("size", [7.5, 31.0, 1000.0])
def test_power_is_known_where_an_effect_dwarfs_the_noise(size: float) -> None:
    """Scipy has no number for the far tail; two seeds have one degree of freedom."""
    assert power_of(size, 1, 0.05) == pytest.approx(stats.nct.sf(stats.t.isf(0.025, 1), 1, size), abs=1e-6)


def test_a_contrast_states_the_power_for_the_effect_that_is_asked_for_and_not_for_its_own() -> None:
    """Two tables with the same noise and other deltas have the same limits, powers and seeds."""
    noise = np.random.default_rng(2).normal(0, 0.01, (6, 4))
    found = []
    for delta in (0.0, 0.3):
        scores = np.exp(3 + noise + delta * np.eye(6)[:, [1]])
        compared = compare_paired(scores, Question(level=0.01, effect=0.02))
        assert compared is not None
        contrast = compared[0][0]
        assert contrast is not None
        found.append((contrast.limit, contrast.power, contrast.seeds_needed))
    assert found[0] == pytest.approx(found[1])
    limit, power, needed = found[0]
    assert limit is not None
    assert (limit > 0.02) == (power < 0.8) == (needed > 4)


def test_hopeless_effects_need_more_seeds_than_anybody_has() -> None:
    noise = np.random.default_rng(3).normal(0, 0.5, (4, 3))
    compared = compare_paired(np.exp(noise), Question(level=0.01, effect=0.001))
    assert compared is not None
    assert [contrast.seeds_needed for contrast in compared[0] if contrast] == [MOST_SEEDS + 1] * 3


def test_two_one_sided_tests_call_rows_equal_that_are_close_and_well_measured() -> None:
    """p is the larger of the two one-sided ones, written out here."""
    generator = np.random.default_rng(4)
    scores = np.exp(3 + generator.normal(0, 0.002, (2, 6)))
    compared = compare_paired(scores, Question(level=0.05, within=0.01))
    assert compared is not None
    (contrast,) = compared[0]
    assert contrast is not None
    differences = np.log(scores[1] / scores[0])
    error = differences.std(ddof=1) / math.sqrt(6)
    below, above = ((math.log(1 + side * 0.01) - differences.mean()) / error for side in (-1, 1))
    assert contrast.p_equal == pytest.approx(max(stats.t.cdf(below, 5), stats.t.sf(above, 5)))
    assert contrast.p_equal < 0.05
    far = compare_paired(scores * np.array([[1.0], [1.03]]), Question(level=0.05, within=0.01))
    assert far is not None
    assert far[0][0] is not None
    assert far[0][0].p_equal > 0.9


def test_what_a_table_will_see_is_what_it_sees_when_it_is_complete() -> None:
    """Of rows that are alike, the limit before the end is about the one at the end."""
    scores = np.exp(3 + np.random.default_rng(5).normal(0, 0.02, (12, 8)))
    question = Question(level=0.05 / 11, effect=0.03)
    first, whole = compare_paired(scores[:, :4], question), compare_paired(scores, question)
    assert first is not None
    assert whole is not None
    limits = [contrast.limit for contrast in whole[0] if contrast and contrast.limit]
    expected = sight(whole[1], 8, question)
    assert expected.limit == pytest.approx(np.median(limits), rel=0.02)
    assert sight(first[1], 8, question).limit == pytest.approx(np.median(limits), rel=0.4)
    assert (expected.limit > 0.03) == (expected.power < 0.8) == (expected.seeds_needed > 8)


def test_rows_of_equal_scores_leave_nothing_unseen() -> None:
    question = Question(level=0.05)
    found = compare_paired(np.tile([30.0, 31.0, 29.5], (2, 1)), question)
    assert found
    seen = sight(found[1], 3, question)
    assert seen.limit == pytest.approx(0, abs=1e-9)
    assert (seen.power, seen.seeds_needed) == (1.0, 2)
