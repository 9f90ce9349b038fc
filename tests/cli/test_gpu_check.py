"""`mta-lab gpu-check` where there is no GPU, and its mistakes."""

import json
from pathlib import Path

import pytest

from mta_lab.gpu_check import check
from mta_lab.gpu_check.stages import STAGES
from mta_lab.lab import gpu_checking
from tests.cli.conftest import Command


@pytest.fixture
def lab_without_gpu(lab: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    for module in (check, gpu_checking):
        monkeypatch.setattr(module, "gpus", lambda: ())
    return lab


def test_without_a_gpu_it_says_what_it_would_do(lab_without_gpu: Command) -> None:
    done = lab_without_gpu("gpu-check", "--out", "gpu.json")
    assert (done.status, done.err) == (0, "")
    for stage in STAGES:
        assert f"│ {stage.name} " in done.out
        assert (str(stage.limit) if stage.built else "not built") in done.out
        assert stage.proves in done.out
    assert "Nothing was run: there is no GPU here that torch can use. gpu.json says so of each stage." in done.out
    assert len(json.loads(Path("gpu.json").read_text())["stages"]) == len(STAGES)


def test_it_does_not_say_that_a_file_tells_what_cannot_be_written(lab_without_gpu: Command) -> None:
    Path("gpu.json").mkdir()
    done = lab_without_gpu("gpu-check", "--out", "gpu.json")
    assert done.status == 2
    assert "gpu.json: cannot be written" in done.err
    assert "says so" not in done.out


def test_a_stage_alone_is_said_alone(lab_without_gpu: Command) -> None:
    out = lab_without_gpu("gpu-check", "--out", "gpu.json", "--only", "resume").out
    assert "resume" in out
    assert "environment" not in out


def test_on_the_cpu_a_stage_runs_small(lab: Command) -> None:
    done = lab("gpu-check", "--out", "gpu.json", "--device", "cpu", "--only", "kernels")
    assert (done.status, done.out) == (0, "kernels: not built\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--out", "gpu.json", "--only", "steps"), "--only: no stage named 'steps'; did you mean 'step'?"),
        (("--out", "gpu.json", "--device", "tpu"), "--device: got 'tpu', allowed: cuda, cpu"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(arguments: tuple[str, ...], says: str, lab: Command) -> None:
    assert says in lab("gpu-check", *arguments).complaint
