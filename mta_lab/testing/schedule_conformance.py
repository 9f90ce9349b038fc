"""The contract that every schedule keeps, shipped or yours; see `conformance`."""

import random

import pytest

from components.schedules import ScheduleConfig
from mta_lab.testing.subjects import under_test

LENGTHS = ((1, 0), (8, 0), (40, 7), (10, 9), (1000, 1))
"""steps and warm-up of a run"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every schedule under test, as it is by default."""
    schedules = [variant() for variant in under_test()[0] if issubclass(variant, ScheduleConfig)]
    if "schedule" in metafunc.fixturenames:
        metafunc.parametrize("schedule", schedules, ids=lambda one: one.name)


def rates(schedule: ScheduleConfig, steps: int, warmup: int) -> list[float]:
    """Return the rates from the end of the warm-up to one step after the last."""
    return [schedule.factor(step, steps=steps, warmup=warmup) for step in range(warmup, steps + 1)]


@pytest.mark.parametrize(("steps", "warmup"), LENGTHS)
def test_rates_are_shares_of_the_peak(schedule: ScheduleConfig, steps: int, warmup: int) -> None:
    """Each is a number from 0 to 1, and at least one step moves something."""
    found = rates(schedule, steps, warmup)
    assert all(isinstance(rate, float) for rate in found)
    assert [rate for rate in found if not 0 <= rate <= 1] == []
    assert max(found[:-1]) > 0


@pytest.mark.parametrize(("steps", "warmup"), LENGTHS)
def test_a_rate_follows_from_its_step_alone(schedule: ScheduleConfig, steps: int, warmup: int) -> None:
    """A run that is resumed asks for a step without those before it."""
    in_order = rates(schedule, steps, warmup)
    asked = list(range(warmup, steps + 1))
    random.Random(0).shuffle(asked)
    found = {step: schedule.factor(step, steps=steps, warmup=warmup) for step in asked}
    assert [found[step] for step in sorted(asked)] == in_order
