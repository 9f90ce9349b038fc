"""Looks share the false alarms that a table may raise."""

import pytest

from mta_lab.report.statistics import Terms, compare
from mta_lab.stats.looks import adjusted_for_look, levels

FIRST = {"base": {0: 20.0, 1: 20.6, 2: 19.8}, "row": {0: 18.0, 1: 18.5, 2: 17.85}}
LATER = {"base": {3: 20.2, 4: 20.4}, "row": {3: 20.0, 4: 20.7}}
LOOKS = ((0, 1, 2), (0, 1, 2, 3, 4))
AGAINST = {"base": "base", "row": "base"}


@pytest.mark.parametrize(
    ("looks", "shares"),
    [([5], [0.05]), ([3, 6, 12], [0.010, 0.015, 0.025]), ([4, 4, 4, 4], [0.0125] * 4), ([2, 30], [1 / 180, 2 / 45])],
)
def test_levels_add_up_to_five_percent(looks: list[int], shares: list[float]) -> None:
    assert levels(looks) == pytest.approx(shares)
    assert sum(levels(looks)) == pytest.approx(0.05)


def test_a_p_value_at_its_looks_level_counts_as_five_percent() -> None:
    assert adjusted_for_look(0.010, 0.010) == pytest.approx(0.05)
    assert adjusted_for_look(0.4, 0.010) == 1.0


def test_seeds_between_looks_count_for_nothing_until_the_next_look_is_complete() -> None:
    terms = Terms(looks=LOOKS)
    at_first = compare(FIRST, AGAINST, (), None, terms)
    one_more = {row: {**runs, 3: LATER[row][3]} for row, runs in FIRST.items()}
    between = compare(one_more, AGAINST, (), None, terms)
    assert between == at_first
    assert between.looks == {"row": 1}
    both = compare({row: {**runs, **LATER[row]} for row, runs in FIRST.items()}, AGAINST, (), None, terms)
    assert both.looks == {"row": 2}
    assert both.contrasts != at_first.contrasts


def test_what_a_look_has_found_stays_found() -> None:
    """The later seeds show no difference; the first look's verdict stands, with its sign."""
    terms = Terms(looks=LOOKS)
    at_first = compare(FIRST, AGAINST, (), None, terms)
    assert at_first.p_holm["row"] < 0.05
    both = compare({row: {**runs, **LATER[row]} for row, runs in FIRST.items()}, AGAINST, (), None, terms)
    assert both.contrasts["row"].p > 0.02
    assert both.p_holm == at_first.p_holm
    assert both.called == {"row": at_first.contrasts["row"].delta}


def test_before_the_first_look_there_is_a_difference_and_no_test() -> None:
    two = {row: {seed: runs[seed] for seed in (0, 1)} for row, runs in FIRST.items()}
    found = compare(two, AGAINST, (), None, Terms(looks=LOOKS))
    assert found.contrasts.keys() == {"row"}
    assert (dict(found.p_holm), dict(found.p_equal), dict(found.looks)) == ({}, {}, {})


def test_a_single_look_has_the_whole_level() -> None:
    alone = compare(FIRST, AGAINST, (), None)
    assert alone.p_holm["row"] == pytest.approx(alone.contrasts["row"].p)
    first_of_two = compare(FIRST, AGAINST, (), None, Terms(looks=LOOKS))
    assert first_of_two.p_holm["row"] == pytest.approx(alone.p_holm["row"] * 0.05 / levels([3, 5])[0])
