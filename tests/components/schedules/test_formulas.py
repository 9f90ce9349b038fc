"""Schedules are those of transformers (`transformers.optimization`, 4.57), written out here."""

import math
from collections.abc import Callable

import pytest

from components import ComponentError
from components.schedules import Constant, Cosine, InverseSquareRoot, Linear, ScheduleConfig, Wsd

STEPS, WARMUP = 50, 10
Formula = Callable[[int], float]


def cosine_with_min_lr(step: int, least: float) -> float:
    """`get_cosine_with_min_lr_schedule_with_warmup`, after its warm-up."""
    progress = (step - WARMUP) / max(1, STEPS - WARMUP)
    factor = 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress))
    return max(0, factor * (1 - least) + least)


def wsd(step: int, falling: int, kind: str, least: float) -> float:
    """`get_wsd_schedule`, after its warm-up."""
    stable = STEPS - WARMUP - falling
    if step < WARMUP + stable:
        return 1.0
    progress = (step - WARMUP - stable) / max(1, falling)
    factor = {
        "linear": 1.0 - progress,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress)),
        "square_root": 1.0 - math.sqrt(progress),
    }[kind]
    return max(0, factor * (1.0 - least) + least)


def inverse_sqrt(step: int, timescale: int) -> float:
    """`get_inverse_sqrt_schedule`, after its warm-up."""
    return 1.0 / math.sqrt((step + timescale - WARMUP) / timescale)


FORMULAS: dict[ScheduleConfig, Formula] = {
    Linear(): lambda step: max(0.0, (STEPS - step) / max(1, STEPS - WARMUP)),
    Linear(minimum=0.25): lambda step: 0.25 + 0.75 * (STEPS - step) / (STEPS - WARMUP),
    Constant(): lambda _: 1.0,
    Cosine(): lambda step: cosine_with_min_lr(step, 0.0),
    Cosine(minimum=0.1): lambda step: cosine_with_min_lr(step, 0.1),
    Wsd(): lambda step: wsd(step, 10, "linear", 0.0),
    Wsd(decay=0.5, shape="cosine", minimum=0.2): lambda step: wsd(step, 25, "cosine", 0.2),
    Wsd(decay=0.1, shape="square_root"): lambda step: wsd(step, 5, "square_root", 0.0),
    Wsd(decay=1.0): lambda step: wsd(step, STEPS - WARMUP, "linear", 0.0),
    InverseSquareRoot(): lambda step: inverse_sqrt(step, WARMUP),
    InverseSquareRoot(timescale=100): lambda step: inverse_sqrt(step, 100),
}


@pytest.mark.parametrize("schedule", FORMULAS, ids=str)
def test_rates_are_those_of_transformers(schedule: ScheduleConfig) -> None:
    steps = range(WARMUP, STEPS + 1)
    found = [schedule.factor(step, steps=STEPS, warmup=WARMUP) for step in steps]
    assert found == pytest.approx([FORMULAS[schedule](step) for step in steps], abs=1e-12)


def test_without_warm_up_the_inverse_square_root_falls_from_the_first_step() -> None:
    found = [InverseSquareRoot().factor(step, steps=4, warmup=0) for step in range(4)]
    assert found == pytest.approx([1.0, 2**-0.5, 3**-0.5, 0.5])


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Linear(minimum=1.5), "minimum: got 1.5, allowed: 0 to 1"),
        (lambda: Wsd(decay=0.0), "decay: got 0.0, allowed: more than 0, at most 1"),
        (lambda: InverseSquareRoot(timescale=0), "timescale: got 0, allowed: 1 or more"),
    ],
)
def test_a_setting_that_no_schedule_has_is_refused(build: Callable[[], ScheduleConfig], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        build()
