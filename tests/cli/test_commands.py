"""Every command's help, and the commands that print without training."""

import re
from pathlib import Path

import pytest
import yaml

from components import FAMILIES
from mta_lab.sweep.files import SHIPPED
from mta_lab.sweep.ledger import LEDGER
from tests.cli.conftest import Command

COMMANDS = {
    "sweep": ("--dry-run", "--workers", "--seeds", "--budget", "--check-lr", "--scale", "KEY=VALUE"),
    "plan": ("--workers", "--seeds", "--scale", "KEY=VALUE"),
    "report": ("--format", "--seeds", "--scale", "KEY=VALUE"),
    "train": ("--scale", "--components", "KEY=VALUE"),
    "params": ("--model", "--scale"),
    "components": ("--components",),
    "new": ("attention",),
    "bench": ("--scale", "--components", "--shape", "--json", "--plot", "KEY=VALUE"),
    "dashboard": ("--port",),
    "data prepare": ("--scale",),
    "data show": ("--scale",),
}
TABLE8 = yaml.safe_load((SHIPPED / f"{LEDGER}.yaml").read_text())["table8"]
TYPED = {
    "transformer": 876_553_728,
    "differential": 876_567_552,
    "talking_heads": 876_566_016,
    "mta": 876_583_320,
}


def test_help_lists_every_command(lab: Command) -> None:
    done = lab("--help")
    assert done.status == 0
    listed = {line.split()[0] for line in done.out.partition("Commands:")[2].splitlines() if line.strip()}
    assert {command.split()[0] for command in COMMANDS} <= listed


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_options(command: str, lab: Command) -> None:
    done = lab(*command.split(), "--help")
    assert done.status == 0
    assert [option for option in COMMANDS[command] if option not in done.out] == []


@pytest.mark.parametrize("model", TYPED)
def test_parameter_counts_are_the_papers(model: str, lab: Command) -> None:
    done = lab("params", "--model", model, "--scale", "paper-880m")
    assert (done.status, done.out) == (0, f"{TYPED[model]}\n")
    assert TABLE8[{"mta": "multi_token"}.get(model, model)]["parameters"] == TYPED[model]


def test_parameter_count_follows_settings(lab: Command) -> None:
    plain = int(lab("params", "--model", "transformer").out)
    assert int(lab("params", "--model", "softmax").out) == plain
    wider = int(lab("params", "--model", "softmax", "model.vocabulary=612").out)
    assert wider - plain == 100 * 64


def test_components_lists_every_variant_with_its_settings(lab: Command) -> None:
    done = lab("components")
    assert done.status == 0
    for family in FAMILIES.values():
        assert [name for name in (family.name, *family.names()) if name not in done.out] == []
    assert "dropout = 0.0" in done.out


def test_dry_run_shows_rows_differences_and_starts_nothing(lab: Command, tmp_path: Path) -> None:
    done = lab("sweep", "kernel_sizes", "--dry-run", "--seeds", "2")
    assert done.status == 0
    assert [row for row in ("transformer", "1x1", "4x9", "6x11", "8x13") if row not in done.out] == []
    assert "kernel [4, 9]" in done.out
    assert "10 of 10 cells" in done.out
    assert not list(tmp_path.iterdir())


def test_plan_times_what_is_not_recorded(lab: Command, tmp_path: Path) -> None:
    done = lab("plan", "language_modeling", "model.width=32", "model.context=16", "--workers", "1")
    assert done.status == 0
    assert done.out.count("(probed)") == 4
    assert re.search(r"In all: about [\d.]+ (s|min|h) on 1 worker\.", done.out)
    assert not list(tmp_path.iterdir())


def test_plan_of_a_scale_too_large_to_probe(lab: Command) -> None:
    done = lab("plan", "language_modeling", "--scale", "paper-880m")
    assert (done.status, done.out.count("unknown")) == (0, 5)
    assert "876,583,320" in done.out


def test_rights_are_shown_before_anything_is_downloaded(lab: Command, tmp_path: Path) -> None:
    shown = " ".join(lab("data", "show").out.split())
    assert "not prepared yet" in shown
    for word in ("public domain", "CC-BY-SA-4.0", "stackexchange", "wikipedia"):
        assert word in shown
    assert not list(tmp_path.iterdir())
