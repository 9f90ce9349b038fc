"""GPUs are found and handed to workers, on a machine that pretends to have some.

Their driver is a script `nvidia-smi` in the search path; torch here may see no CUDA.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mta_lab import load
from mta_lab.devices import own, visible
from mta_lab.devices.visible import Gpu, counted_gpus, environment_of, free_memory, keys_of, listed, together, trouble
from mta_lab.errors import UserError
from mta_lab.lab import placing
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.placing import asking_for, gpus_of, usual_workers, workers_of
from mta_lab.lab.plans import plan
from mta_lab.launch.launch import LaunchOptions
from tests import conftest

H100 = "NVIDIA H100 80GB HBM3"
EIGHT = tuple(Gpu(str(number), H100) for number in range(8))
WHOLE = "\n".join(f"GPU {number}: {H100} (UUID: GPU-{number}0a1)" for number in range(8))
DIVIDED = """\
GPU 0: NVIDIA A100 (UUID: GPU-aa)
  MIG 3g.20gb     Device  0: (UUID: MIG-bb)
  MIG 3g.20gb     Device  1: (UUID: MIG-cc)
GPU 1: NVIDIA A100 (UUID: GPU-dd)"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretend a driver that lists the given GPUs, and no variable that hides any."""

    def pretend(said: str) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nif [ $1 = -L ]; then cat <<'END'\n{said}\nEND\nelse echo 535.54; fi\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.delenv(visible.VISIBLE, raising=False)

    return pretend


def test_the_driver_lists_the_gpus(driver: Callable[[str], None]) -> None:
    driver(WHOLE)
    assert listed() == EIGHT
    driver("No devices found.")
    assert listed() == ()


def test_a_divided_gpu_is_its_parts(driver: Callable[[str], None]) -> None:
    driver(DIVIDED)
    part = "NVIDIA A100 MIG 3g.20gb"
    assert listed() == (Gpu("MIG-bb", part), Gpu("MIG-cc", part), Gpu("GPU-dd", "NVIDIA A100"))


def test_the_list_of_the_environment_stays_as_it_is(
    driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(WHOLE)
    monkeypatch.setenv(visible.VISIBLE, "6, GPU-20a1,MIG-ee")
    assert listed() == (Gpu("6", H100), Gpu("GPU-20a1", H100), Gpu("MIG-ee", "GPU"))


@pytest.mark.parametrize(
    ("given", "keys"), [("", []), ("-1", []), ("NoDevFiles", []), ("1,0", ["1", "0"]), ("2,-1,3", ["2"])]
)
def test_cuda_sees_what_comes_before_the_first_that_is_no_device(given: str, keys: list[str]) -> None:
    assert keys_of(given) == keys


def test_gpus_are_counted_by_name() -> None:
    assert counted_gpus(EIGHT) == f"8 x {H100}"
    assert counted_gpus([*EIGHT[:2], Gpu("8", "NVIDIA A100")]) == f"2 x {H100}, 1 x NVIDIA A100"


def test_workers_have_the_devices_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(visible.VISIBLE, "4,GPU-ff")
    given = [environment_of(worker, ["4", "GPU-ff"]) for worker in range(3)]
    assert [one[visible.VISIBLE] for one in given] == ["4", "GPU-ff", "4"]
    assert not [one for one in given if visible.ORDER in one]
    assert environment_of(0, []) == {}
    monkeypatch.delenv(visible.VISIBLE)
    one = environment_of(1, ["0", "1"])
    assert (one[visible.VISIBLE], one[visible.ORDER]) == ("1", "PCI_BUS_ID")


def test_a_worker_on_a_gpu_can_compute_the_same_bits_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert environment_of(0, ["0"])["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    assert environment_of(0, ["0"])["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_deterministic_algorithms_are_for_a_gpu_and_for_the_run_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker trains runs of both kinds, one after the other."""
    own.set_deterministic(True)
    assert torch.are_deterministic_algorithms_enabled() == own.on_gpu()
    monkeypatch.setattr(own, "on_gpu", lambda: True)
    for asked in (True, False):
        own.set_deterministic(asked)
        assert torch.are_deterministic_algorithms_enabled() == asked


def test_the_options_say_the_number_of_workers_or_leave_it_open() -> None:
    assert workers_of(None, EIGHT, 2) == 16
    assert workers_of(5, EIGHT, None) == 5
    assert workers_of(None, EIGHT, None) is None


def test_small_models_share_a_gpu_as_far_as_cores_go(
    driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(WHOLE)
    found = plan("kernel_sizes", Conditions(), Display())
    monkeypatch.setattr(placing.os, "sched_getaffinity", lambda _: range(24))
    assert usual_workers(found, EIGHT) == 8  # this driver says nothing of memory
    monkeypatch.setattr(placing, "free_memory", lambda _: 80e9)
    assert usual_workers(found, EIGHT) == 24
    assert usual_workers(found, EIGHT[:2]) == 16
    assert usual_workers(found, ()) == 24
    assert usual_workers(plan("kernel_sizes", Conditions(scale="paper-880m"), Display()), EIGHT) == 8


@pytest.mark.parametrize(
    ("memory", "mode", "expected"),
    [("79000", "Default", 79000 * 2**20), ("79000", "Exclusive_Process", None), ("[N/A]", "Default", None)],
)
def test_free_memory_is_that_of_the_fullest_gpu_if_it_can_be_shared(
    memory: str, mode: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"0, GPU-a, 80000, Default\n1, GPU-b, {memory}, {mode}\n"
    monkeypatch.setattr(visible.shutil, "which", lambda _: "nvidia-smi")
    monkeypatch.setattr(visible, "_answer", lambda *_: said)
    assert free_memory([Gpu("0", H100), Gpu("GPU-b", H100)]) == expected
    assert free_memory([Gpu("0", H100)]) == 80000 * 2**20
    assert free_memory([Gpu("MIG-c", H100)]) is None


@pytest.mark.parametrize(
    ("devices", "line"),
    [
        ("9", "--devices: got '9', allowed: 0, 1, 2, 3, 4, 5, 6, 7, joined by commas"),
        ("0,", "--devices: got '', allowed: 0, 1, 2, 3, 4, 5, 6, 7, joined by commas"),
        (
            "mps",
            "--devices: got 'mps', allowed: GPUs of CUDA: 0, 1, 2, 3, 4, 5, 6, 7; "
            "CUDA_VISIBLE_DEVICES= before the command trains on the CPU",
        ),
        ("1,1", "--devices: '1' is named twice; --workers-per-device has several workers share a GPU"),
    ],
)
def test_a_device_that_is_not_there_is_refused(devices: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "gpus", lambda: EIGHT)
    with pytest.raises(UserError) as refused:
        gpus_of(devices)
    assert str(refused.value) == line
    assert [gpu.key for gpu in gpus_of("5, cuda:2")] == ["5", "2"]
    assert gpus_of(None) == EIGHT


def test_a_launch_says_what_it_trains_on(tmp_path: Path) -> None:
    def said(workers: int, devices: Sequence[Gpu]) -> str:
        options = LaunchOptions(workers=workers, components=(), corpus_root=tmp_path, command="", devices=devices)
        return options.place

    assert said(8, EIGHT) == f"8 workers on 8 x {H100}"
    assert said(1, EIGHT) == f"1 worker on 1 x {H100}"
    assert said(6, EIGHT[:2]) == f"6 workers on 2 x {H100}"
    assert said(2, ()) == "2 workers"


def test_devices_that_train_a_run_together_are_said(tmp_path: Path) -> None:
    def said(workers: int, devices: Sequence[Gpu]) -> str:
        options = LaunchOptions(workers=workers, components=(), corpus_root=tmp_path, command="", devices=devices)
        return replace(options, devices_per_run=2).place

    assert said(2, EIGHT) == f"2 workers on 4 x {H100}, 2 GPUs a run"
    assert said(1, ()) == "1 worker, 2 processes a run"
    assert together("01234", 2) == ("0,1", "2,3")
    assert workers_of(None, EIGHT, None, devices_per_run=2) == 4
    assert workers_of(None, EIGHT, 2, devices_per_run=8) == 2
    assert workers_of(1, EIGHT, None, devices_per_run=8) == 1
    assert workers_of(None, (), None, devices_per_run=1024) == 1


def test_the_commands_to_type_next_ask_for_as_many_devices_a_run() -> None:
    found = plan("kernel_sizes", Conditions(scale="nano"), Display())
    for before, after in ((found.command, asking_for(found, 4).command), (found.retry, asking_for(found, 4).retry)):
        assert after == f"{before} --devices-per-run 4"
    assert asking_for(found, 1) == found


@pytest.mark.parametrize(
    ("number", "devices", "line"),
    [
        (9, EIGHT, "--devices-per-run: got 9, allowed: 1 to 8, as many as there are"),
        (
            2,
            (EIGHT[0], Gpu("8", "NVIDIA A100")),
            f"--devices-per-run: got unequal devices for one run: 0 ({H100}), 8 (NVIDIA A100); allowed: devices of one "
            "kind in each run; --devices chooses and orders them",
        ),
        (
            3,
            (),
            "--devices-per-run: got 3, allowed: a divisor of training.batch_size (8): [1, 2, 4, 8], "
            "in row 'transformer'",
        ),
    ],
)
def test_devices_that_cannot_train_a_run_together_are_refused(number: int, devices: Sequence[Gpu], line: str) -> None:
    found = plan("kernel_sizes", Conditions(scale="nano"), Display())
    with pytest.raises(UserError) as refused:
        launch_plan(found, devices=devices, devices_per_run=number)
    assert str(refused.value) == line


def test_options_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "gpus", tuple)
    for use in (gpus_of, lambda devices: load("toy_task").run(devices=devices)):
        with pytest.raises(UserError, match="--devices: got '0', but there is no GPU here that torch can use"):
            use("0")
    with pytest.raises(UserError, match="--workers-per-device: there is no GPU here"):
        workers_of(None, (), 2)
    with pytest.raises(UserError, match="sets the number of workers, and so does --workers"):
        workers_of(4, EIGHT, 2)


@pytest.mark.skipif(own.device().type == "cuda", reason="torch can use the GPU here")
def test_a_gpu_that_torch_cannot_use_is_said_unless_it_is_hidden(
    driver: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(WHOLE)
    line = trouble()
    assert line.startswith(f"8 x {H100} cannot be used: torch ")
    assert "the driver is 535.54; runs train on the CPU." in line
    with pytest.raises(UserError, match="--devices: got '0', but 8 x "):
        gpus_of("0")
    monkeypatch.setenv(visible.VISIBLE, "0,9")
    assert trouble() == (
        "CUDA_VISIBLE_DEVICES: got '9', allowed: 0, 1, 2, 3, 4, 5, 6, 7, as nvidia-smi lists them; "
        "runs train on the CPU"
    )
    monkeypatch.setenv(visible.VISIBLE, "")
    assert trouble() == ""


@pytest.mark.skipif(own.device().type == "cuda", reason="torch can use the GPU here")
def test_a_driver_without_a_gpu_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that was started without the machine's GPUs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(visible.VISIBLE)
    monkeypatch.setattr(visible, "CARDS", (tmp_path / "nvidia0", tmp_path / "kfd"))
    monkeypatch.setattr(visible, "DRIVER", tmp_path)
    assert trouble().startswith("NVIDIA's driver is loaded, and this process sees none of its GPUs; runs train on")


@pytest.mark.skipif(own.device().type == "cuda", reason="there is a GPU")
@pytest.mark.parametrize(
    ("setting", "allowed"),
    [("precision=tf32", "fp32, bf16"), ("precision=fp16", "fp32, bf16"), ("compile=graph", "auto, off")],
)
def test_what_gpus_alone_compute_is_refused_where_runs_train_on_the_cpu(setting: str, allowed: str) -> None:
    name, _, value = setting.partition("=")
    found = plan("kernel_sizes", Conditions(settings=(f"training.{setting}",)), Display())
    with pytest.raises(
        UserError, match=rf"training.{name}: got '{value}', but runs train on the CPU here.*; allowed: {allowed}"
    ):
        launch_plan(found, 1)


def test_an_accelerator_that_nothing_is_tested_on_is_not_used_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("mps"))
    assert trouble().startswith("the accelerator 'mps' is not used: ")


@pytest.mark.skipif(own.device().type == "cuda", reason="there is a GPU")
def test_a_machine_without_a_gpu_has_no_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (trouble(), listed()) == ("", ())
    assert own.place() == {"machine": own.processor()}


@pytest.mark.parametrize("asked", ["cuda", "all"])
def test_the_tests_refuse_a_gpu_that_is_not_here(
    asked: str, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytestconfig.option, "device", asked)
    monkeypatch.setattr(visible, "usable", lambda: False)
    with pytest.raises(
        pytest.UsageError, match=f"--device: got '{asked}', but torch can use no GPU here; allowed: cpu"
    ):
        conftest.pytest_configure(pytestconfig)


def test_a_test_without_a_device_is_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where torch has found a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (own.device(), visible.gpus()) == (own.CPU, ())


def test_memory_that_torch_holds_for_nothing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [70]
    monkeypatch.setattr(own, "on_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", held.clear)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (80 - sum(held), 80))
    assert own.free_memory() == 80
