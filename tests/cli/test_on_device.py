"""`mta-lab plan --device`: what a table takes on a GPU that is not here."""

import re
from pathlib import Path

import pytest

from mta_lab.cli import terminal
from mta_lab.devices import own
from mta_lab.devices.visible import Gpu
from mta_lab.lab import costs
from tests.cli.conftest import Command


def test_a_table_of_the_paper_has_times_and_memory(lab: Command, tmp_path: Path) -> None:
    done = lab("plan", "components", "--scale", "paper-880m", "--device", "h100")
    assert (done.status, done.err) == (0, "")
    said = " ".join(done.out.split())
    assert "unknown" not in said
    for words in ("Estimated by arithmetic for h100", "Nothing was measured", "(peak x 0.4)", "Memory of a step"):
        assert words in said
    assert "Micro-batch: " in said
    assert "105G training tokens, 120 tokens a parameter" in said
    assert "multi_token 9.5" in said  # the paper's own, beside what the arithmetic leaves out
    assert "device-hours for 63 runs: " in said
    assert list(tmp_path.iterdir()) == []


def test_a_narrow_terminal_breaks_no_word_of_a_difference(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "LOG_WIDTH", 80)
    out = lab("plan", "components", "--device", "h100").out
    assert max(map(len, out.splitlines())) == 80
    assert "0.058 s │" in out  # no line is cut off
    for words in ("multi_token(post_softmax", "talking_heads", "[head_mixing])", "│ differential "):
        assert words in out
    assert "1.5e+12" not in out
    assert "A terminal of 100 characters or more also shows the operations" in out


def test_precision_auto_is_that_of_the_device_and_not_of_this_machine(lab: Command, tmp_path: Path) -> None:
    for device, precision in (("h100", "bf16"), ("memory=80GB,fp32=1e12", "fp32"), ("memory=80GB,bf16=1e12", "bf16")):
        done = lab("plan", "kernel_sizes", "training.precision=auto", "--device", device)
        assert (done.status, done.err) == (0, "")
        assert f" in {precision} x 0.4)" in " ".join(done.out.split())


def test_a_step_that_does_not_fit_says_what_helps(lab: Command) -> None:
    said = " ".join(lab("plan", "language_modeling", "--scale", "paper-880m", "--device", "rtx4090").out.split())
    assert "it does not fit; training.recompute=blocks takes 15." in said


def test_a_plan_says_whether_a_step_fits_the_gpu(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "gpus", lambda: (Gpu("0", "a GPU"),))
    said = []
    for free in (80e9, None):
        monkeypatch.setattr(costs, "free_memory", lambda devices, free=free: free)
        said.append(" ".join(lab("sweep", "kernel_sizes", "--scale", "paper-880m", "--dry-run").out.split()))
    assert "(of 128 in the batch). 8 at a time fit into 85% of the 80.00 GB that are free here." in said[0]
    assert "(of 128 in the batch). In all" in said[1]


def test_devices_of_a_run_share_its_memory_and_time(lab: Command) -> None:
    plan = ("plan", "masking", "--scale", "paper-880m", "--device", "rtx4090", "--devices-per-run")
    one, four = (" ".join(lab(*plan, number).out.split()) for number in ("1", "4"))
    assert "Estimated by arithmetic for 4 x rtx4090 a run" in four
    assert "(1.65e+14 in bf16 x 0.4 x 4 devices) = 24.2 days" in four
    assert "= 96.7 days" in one
    assert "Micro-batch: 2 of 128 sequences." in four
    assert "weights 877 MB + gradients 877 MB + adamw 1.75 GB" in four
    hours = [re.findall(r"([\d,]+) device-hours", said) for said in (one, four)]
    assert hours[0] == hours[1] != []


@pytest.mark.parametrize(
    ("scale", "free", "says"),
    [
        ("nano", 0.0, "8 at a time fit into 50% of the 0 MB that are free here"),  # a little is always there
        ("small", 400e9, "32 at a time fit into 50% of the 400.00 GB that are free here"),
        ("paper-880m", 60e9, "2 at a time fit into 50% of the 60.00 GB that are free here"),
        (
            "paper-880m",
            30e9,
            "It does not fit: reading 1 sequence at a time takes 20.51 GB, more than 50% of the 30.00",
        ),
    ],
)
def test_a_plan_says_whether_a_step_fits_this_machine(
    scale: str, free: float, says: str, lab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "free_memory", lambda: free)
    assert says in " ".join(lab("sweep", "kernel_sizes", "--scale", scale, "--dry-run").out.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--device", "h10"), "did you mean 'h100'?"),
        (("--device", "h100", "--workers", "2"), "--workers: is of this machine"),
        (("--devices-per-run", "2"), "--devices-per-run: a plan takes it beside --device alone"),
        (
            ("--device", "h100", "--devices-per-run", "3"),
            "--devices-per-run: got 3, allowed: a divisor of training.batch_size (8)",
        ),
        (("--device", "memory=80GB,tf32=1e12"), "says no fp32"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(arguments: tuple[str, ...], says: str, lab: Command) -> None:
    assert says in lab("plan", "kernel_sizes", *arguments).complaint


@pytest.mark.parametrize("option", [("--dry-run",), ("--budget", "1s")])
def test_devices_that_cannot_share_a_batch_are_refused_before_anything_is_shown(
    option: tuple[str, ...], lab: Command
) -> None:
    complaint = lab("sweep", "kernel_sizes", "--devices-per-run", "3", *option).complaint
    assert "--devices-per-run: got 3, allowed: a divisor of training.batch_size (8)" in complaint
