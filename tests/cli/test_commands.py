"""Every command's help, and the commands that print without training."""

import os
import re
from importlib import metadata
from pathlib import Path

import pytest

from components import FAMILIES
from mta_lab.launch.guards import only_launch
from mta_lab.sweep.ledger import ledger
from tests.cli.conftest import Command

COMMANDS = {
    "sweep": ("--dry-run", "--workers", "--seeds", "--budget", "--check-lr", "--trial-timeout", "--scale", "KEY=VALUE"),
    "retry": ("ROW", "--trial-timeout", "--workers", "--seeds", "--components", "--scale", "KEY=VALUE"),
    "plan": ("--workers", "--seeds", "--scale", "--device", "KEY=VALUE"),
    "report": ("--format", "--seeds", "--scale", "KEY=VALUE"),
    "sync": ("--seeds", "--scale", "--components", "KEY=VALUE"),
    "train": ("--scale", "--components", "KEY=VALUE"),
    "kernels": ("--seed", "--scale", "--components", "--output", "ROW"),
    "attend": ("--text", "--layer", "--head", "--seed", "--scale", "--components", "--output", "ROW"),
    "params": ("--model", "--scale"),
    "components": ("--components",),
    "settings": ("PATTERN", "--components"),
    "new": ("attention",),
    "bench": ("--scale", "--components", "--shape", "--json", "--plot", "KEY=VALUE"),
    "gpu-check": ("--out", "--only"),
    "doctor": ("--launcher", "--workers", "--wait"),
    "join": ("HOST:PORT", "--head", "--cores"),
    "dashboard": ("--port", "--host"),
    "data prepare": ("--scale",),
    "data show": ("--scale",),
    "data verify": ("DIR | KEY=VALUE",),
    "data import": ("SOURCE", "--to", "--tokenizer", "--text-key", "--domain-key", "--held-out", "--tokens"),
}
TABLE8 = ledger()["table8"]
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


@pytest.mark.parametrize("group", ["", "data", "results"])
def test_the_list_of_commands_says_of_each_what_it_does_in_a_whole_sentence(group: str, lab: Command) -> None:
    listed = lab(*group.split(), "--help").out.partition("Commands:")[2]
    assert [line for line in listed.splitlines() if line.strip() and not line.endswith(".")] == []
    assert "..." not in listed


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_options(command: str, lab: Command) -> None:
    done = lab(*command.split(), "--help")
    assert done.status == 0
    assert [option for option in COMMANDS[command] if option not in done.out] == []


@pytest.mark.parametrize("command", ["", *COMMANDS, "data"])
def test_h_is_short_for_help(command: str, lab: Command) -> None:
    assert lab(*command.split(), "-h") == lab(*command.split(), "--help")


def test_the_version_is_that_of_the_package(lab: Command) -> None:
    assert lab("--version").out == f"mta-lab {metadata.version('mta-lab')}\n"


@pytest.mark.parametrize("command", ["sweep", "plan", "report", "status", "retry", "why", "sync", "kernels"])
def test_a_sweep_may_be_named_with_dashes(command: str, lab: Command) -> None:
    words = {"sweep": ["--dry-run"], "why": ["4x9"], "kernels": ["4x9"]}.get(command, ["--scale", "smal"])
    dashed, plain = (lab(command, name, *words) for name in ("kernel-sizes", "kernel_sizes"))
    assert dashed.status == plain.status
    assert "no sweep" not in dashed.err
    free = r"[0-9.]+ [MG]B\s+that\s+are\s+free"  # of memory, which changes meanwhile
    shown = [re.sub(free, "", done.out) for done in (dashed, plain)]
    assert (shown[0], dashed.err.replace("kernel-sizes", "kernel_sizes")) == (shown[1], plain.err)


def test_a_file_whose_name_has_a_dash_is_itself(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "kernel-sizes").write_text("rows: {mine: {}}\n")
    assert "mine" in lab("sweep", "kernel-sizes", "--dry-run").out


@pytest.mark.parametrize("model", TYPED)
def test_parameter_counts_are_the_papers(model: str, lab: Command) -> None:
    done = lab("params", "--model", model, "--scale", "paper-880m")
    assert (done.status, done.out) == (0, f"{TYPED[model]}\n")
    assert TABLE8[{"mta": "multi_token"}.get(model, model)]["parameters"] == TYPED[model]


def test_without_a_model_the_counts_are_those_of_the_papers_four(lab: Command) -> None:
    lines = [line.split("\t") for line in lab("params", "--scale", "paper-880m").out.splitlines()]
    assert {name: int(count) for name, count in lines} == TYPED


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
    assert "10 of 10 runs" in done.out
    assert not list(tmp_path.iterdir())


def test_a_plan_fits_eighty_columns_and_names_what_a_row_sets_to_its_default(
    lab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.yaml").write_text(
        "base: {attention: multi_token}\nrows:\n  plain: {attention: softmax}\n  gate: {attention.norm: gate}\n"
    )
    assert "norm gate" in " ".join(lab("sweep", "mine.yaml", "--dry-run").out.split())
    monkeypatch.setattr("mta_lab.cli.terminal.LOG_WIDTH", 80)
    shown = lab("sweep", "normalization", "--dry-run").out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown


def test_plan_times_what_is_not_recorded(lab: Command, tmp_path: Path) -> None:
    done = lab("plan", "language_modeling", "model.width=32", "model.context=16", "--workers", "1")
    assert done.status == 0
    assert done.out.count("probed") == 1  # "probed, on a busy machine" where others take the cores
    assert re.search(r"In all: about [\d.]+ (s|min|h) on 1 worker\.", done.out)
    assert not list(tmp_path.iterdir())


def test_plan_of_a_scale_too_large_to_probe(lab: Command) -> None:
    done = lab("plan", "language_modeling", "--scale", "paper-880m")
    assert (done.status, done.out.count("unknown")) == (0, 0)
    assert "Time of a run: by arithmetic, at 0.4 of the rate of a matrix product here" in " ".join(done.out.split())
    assert "876,583,320" in done.out


def test_rights_are_shown_before_anything_is_downloaded(lab: Command, tmp_path: Path) -> None:
    shown = " ".join(lab("data", "show").out.split())
    assert "not prepared yet" in shown
    for word in ("public domain", "CC-BY-SA-4.0", "stackexchange", "wikipedia"):
        assert word in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_the_dashboard_listens_on_loopback_unless_told_otherwise_with_a_warning(
    host: str, warned: bool, lab: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:s3cret@127.0.0.1/runs")
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    outcome = lab("dashboard", *(["--host", host] if host != "127.0.0.1" else []))
    (command,) = started
    assert command[command.index("--host") + 1] == host
    assert ("warning" in outcome.err) == warned
    assert "s3cret" not in outcome.out + outcome.err + " ".join(command)
    assert os.environ["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql://ann:s3cret")


def test_a_server_address_is_repeated_without_its_password(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:s3cret@host:5000")
    assert "https://***@host:5000" in lab("dashboard").complaint


def test_sync_is_refused_while_a_launch_is_going_on(lab: Command) -> None:
    with only_launch(Path("results")):
        assert "another sweep is running here" in lab("sync", "kernel_sizes").complaint


@pytest.mark.parametrize(("mine", "found"), [(None, "passive"), ("active", "active")])
def test_a_command_lets_idle_threads_wait_quietly_unless_the_user_says_otherwise(
    mine: str | None, found: str, lab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # to be requeued
    monkeypatch.delenv("GOMP_SPINCOUNT")
    if mine:
        monkeypatch.setenv("OMP_WAIT_POLICY", mine)
    assert lab("train", "--help").status == 0  # before torch is loaded, which reads it
    assert os.environ["OMP_WAIT_POLICY"] == found
    assert ("GOMP_SPINCOUNT" in os.environ) == (not mine)
