"""A scale's warm-up gives way to fewer steps than it takes; one that a user wrote does not."""

from pathlib import Path

import pytest

from mta_lab.config import Layer, RunConfig, command_line, fingerprint, resolve, scale_layer
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.launches import shortened_warmups
from mta_lab.lab.plans import plan_of_one


def nano(*settings: str) -> RunConfig:
    return resolve([scale_layer("nano"), command_line(settings)])


@pytest.mark.parametrize(("steps", "warmup"), [(2000, 100), (101, 100), (100, 10), (20, 2), (5, 0)])
def test_a_scales_warm_up_is_a_tenth_of_steps_that_it_would_fill(steps: int, warmup: int) -> None:
    few = ["training.validations=1"] if steps < 4 else []
    assert nano(f"training.steps={steps}", *few).training.warmup_steps == warmup


def test_the_run_is_that_of_one_who_writes_it() -> None:
    written = nano("training.steps=20", "training.warmup_steps=2")
    assert fingerprint(nano("training.steps=20"), "text") == fingerprint(written, "text")


def test_a_warm_up_that_somebody_wrote_stays_or_is_refused() -> None:
    assert nano("training.steps=20", "training.warmup_steps=19").training.warmup_steps == 19
    with pytest.raises(UserError, match=r"warmup_steps: got 30, allowed: fewer than steps \(20\).*warmup_steps=2"):
        resolve(
            [scale_layer("nano"), Layer("base", {"training.warmup_steps": 30}), command_line(["training.steps=20"])]
        )


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        (["training.steps=20"], ["warm-up: 2 of 20 steps, as the 100 of scale nano leave none after it; "
                                 "training.warmup_steps=NUMBER sets another"]),
        (["training.steps=20", "training.warmup_steps=2"], []),
        (["training.steps=200"], []),
    ],
)  # fmt: skip
def test_a_launch_says_what_it_came_to(
    settings: list[str], lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shortened_warmups(plan_of_one(Conditions(settings=settings), Display())) == lines
