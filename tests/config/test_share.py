"""`training.token_share`: a part of the tokens, with warm-up and validations that suit it."""

from pathlib import Path

import pytest

from mta_lab.config import Layer, RunConfig, command_line, fingerprint, plain, resolve, scale_layer
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.launches import shared_tokens, shortened_warmups
from mta_lab.lab.plans import plan_of_one


def shared(scale: str, *settings: str) -> tuple[int, int, int]:
    training = resolve([scale_layer(scale), command_line(settings)]).training
    return training.steps, training.warmup_steps, training.validations


@pytest.mark.parametrize(
    ("scale", "share", "expected"),
    [
        ("paper-880m", 0.05, (20_000, 19, 4)),
        ("paper-880m", 0.5, (200_000, 188, 20)),
        ("paper-880m", 1, (400_000, 375, 40)),
        ("paper-1b", 0.05, (10_000, 9, 4)),
        ("nano", 0.05, (51, 5, 4)),
        ("nano", 0.002, (2, 0, 2)),
    ],
)
def test_steps_warm_up_and_validations_take_their_share(
    scale: str, share: float, expected: tuple[int, int, int]
) -> None:
    assert shared(scale, f"training.token_share={share}") == expected


def layered(*layers: dict[str, object]) -> RunConfig:
    return resolve([scale_layer("nano"), *(Layer(f"layer {n}", layer) for n, layer in enumerate(layers))])


def test_the_run_is_that_of_one_who_writes_the_steps() -> None:
    written = layered({"training.steps": 102, "training.warmup_steps": 10})
    share = layered({"training.token_share": 0.1})
    assert fingerprint(share, "text") == fingerprint(written, "text")
    assert plain(share) == plain(written)
    assert fingerprint(layered({"training.token_share": 0.2}), "text") != fingerprint(share, "text")


def test_few_steps_beside_a_share_have_the_warm_up_that_they_have_without() -> None:
    beside = layered({"training": {"token_share": 0.5, "steps": 20}})
    assert beside.training.warmup_steps == layered({"training.steps": 20}).training.warmup_steps == 2


def test_what_is_written_beside_a_share_or_after_it_is_meant() -> None:
    assert layered({"training": {"token_share": 0.1, "steps": 300}}).training.steps == 300
    assert layered({"training.token_share": 0.1}, {"training.steps": 300}).training.steps == 300
    assert layered({"training.steps": 300}, {"training.token_share": 0.1}).training.steps == 30
    assert layered({"training.steps": 300}, {"training.token_share": 0.1}).training.warmup_steps == 10
    assert layered({"training.token_share": 0.1}, {"training.token_share": 0.5}).training.steps == 512


@pytest.mark.parametrize("share", ["0", "1.5", "-0.1"])
def test_other_shares_are_refused(share: str) -> None:
    with pytest.raises(UserError, match=r"training\.token_share: got .*, allowed: more than 0, at most 1"):
        shared("nano", f"training.token_share={share}")


def test_a_launch_says_what_it_came_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_of_one(Conditions(settings=["training.token_share=0.05"]), Display())
    assert shared_tokens(plan) == [
        "training.token_share=0.05: 51 steps, of them 5 of warm-up, and 4 validations",
    ]
    assert shortened_warmups(plan) == []
