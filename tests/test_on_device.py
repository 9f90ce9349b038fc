"""Times and memory on a described device are arithmetic, the same as by hand."""

from pathlib import Path

import pytest

from mta_lab.devices.known import device_of, known, named_by_torch
from mta_lab.errors import UserError
from mta_lab.planning.by_arithmetic import Arithmetic, on_device
from tests.config.helpers import config
from tests.shipped import shipped

PARAMETERS = 876_553_728  # of the paper's 880M Transformer
OPERATIONS = 6 * PARAMETERS * 400_000 * 128 * 2048


def transformer(device: str, devices: int = 1, *settings: str) -> Arithmetic:
    return on_device(config("attention=softmax", *settings, scale="paper-880m"), device_of(device), devices)


def test_time_is_operations_over_a_share_of_the_peak() -> None:
    assert transformer("h100").seconds == pytest.approx(OPERATIONS / (0.4 * 989e12))
    assert transformer("h100", 1, "training.precision=fp32").seconds == pytest.approx(OPERATIONS / (0.4 * 67e12))
    again = transformer("h100", 1, "training.recompute=blocks")
    assert again.seconds == pytest.approx(OPERATIONS * 4 / 3 / (0.4 * 989e12))
    assert transformer("h100", 8).seconds == pytest.approx(OPERATIONS / (8 * 0.4 * 989e12))


def test_memory_is_the_sum_of_its_parts() -> None:
    found = transformer("h100")
    assert (found.micro_batch, found.fits) == (8, True)
    assert found.memory.weights == found.memory.gradients == found.memory.optimizer / 2 == 4 * PARAMETERS
    assert found.memory.activations == 8 * 2048 * 24 * (10 * 1536 + 3 * 4096) * 4
    assert found.memory.logits == 2 * 1024 * 128_256 * 4
    assert found.memory.total == 58_562_076_672


def test_the_micro_batch_is_the_largest_that_fits_85_percent() -> None:
    total = 58_562_076_672
    for memory, micro_batch in ((total / 0.85 + 1e6, 8), (total / 0.85 - 1e6, 4)):
        assert transformer(f"memory={memory / 1e6:.0f}MB,bf16=1e12").micro_batch == micro_batch
    small = transformer("rtx4090")
    assert (small.micro_batch, small.fits) == (1, False)
    assert transformer("rtx4090", 1, "training.recompute=blocks").fits


def test_devices_of_a_run_share_weights_gradients_and_adamw() -> None:
    found = transformer("rtx4090", 8)
    assert (found.micro_batch, found.fits) == (2, True)
    assert found.memory.weights == PARAMETERS * 4 / 8
    assert found.memory.logits == 2 * 1024 * 128_256 * 4
    assert transformer("h200", 64).micro_batch == 2  # a batch of 128 has no more for each


@pytest.mark.parametrize("name", known())
def test_what_ships_is_in_order(name: str) -> None:
    device = device_of(name.upper())
    assert device == named_by_torch(device.torch)
    assert 20e9 < device.memory < 200e9
    assert device.bandwidth
    assert device.peaks["bf16"] > device.peaks["tf32"] >= device.peaks["fp32"]
    for row in shipped("components", "paper-880m").rows:
        assert 0 < on_device(row.config, device).seconds < 1e10


def test_a_gpu_that_is_not_in_the_list_has_no_facts() -> None:
    assert named_by_torch("NVIDIA H100 PCIe") is None
    assert named_by_torch("") is None


def test_a_device_may_be_described_in_words_or_in_a_file(tmp_path: Path) -> None:
    words = device_of("memory=96 GB, bandwidth=4TB/s, bf16=1.2e15")
    assert (words.memory, words.bandwidth, words.peaks) == (96e9, 4e12, {"bf16": 1.2e15})
    file = tmp_path / "mine.yaml"
    file.write_text("memory: 96GB\nbandwidth: 4TB\nbf16: 1.2e15\n")
    found = device_of(str(file))
    assert (found.name, found.memory, found.bandwidth, found.peaks) == ("mine", 96e9, 4e12, {"bf16": 1.2e15})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("h10", r"no device named 'h10'; did you mean 'h100'\? known: h100, h200"),
        ("", r"no device named ''; known: h100"),
        (
            "memory=80GB",
            r"says no operations a second; add one of bf16, fp16, tf32, fp32, like memory=80GB,bf16=990e12",
        ),
        ("bf16=1e12", r"says no memory; allowed: like memory=80GB"),
        ("memory=80,bf16=1e12", r"memory: got '80', allowed: a size above 0 in MB, GB"),
        ("memory=0GB,bf16=1e12", r"memory: got '0GB', allowed"),
        ("memory=80GB,bf16=fast", r"bf16: got 'fast', allowed: operations a second from 1e\+09 to 1e\+21, like"),
        ("memory=80GB,bf16=990", r"bf16: got '990', allowed: .*like 990e12 for 990 TFLOP/s"),
        ("memory=80GB,bf16=1e-320", r"bf16: got '1e-320'"),
        ("memory=80GB,bf16=1e300", r"bf16: got '1e300'"),
        ("memory=80GB,bf16=-1", r"bf16: got '-1'"),
        ("memory=80GB,bf16=inf", r"bf16: got 'inf'"),
        ("memory=80GB,bf16=nan", r"bf16: got 'nan'"),
        ("memory=80GB,bf6=1e12", r"bf6: no such fact; did you mean 'bf16'\? allowed: memory"),
        ("memory=80GB,memory=90GB,bf16=1e12", r"got 'memory' twice"),
        ("none.yaml", r"none.yaml: cannot be read: No such file"),
    ],
)
def test_a_description_that_says_too_little_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=f"^--device:? ?.*{says}") as refused:
        device_of(text)
    assert "\n" not in str(refused.value)


def test_a_precision_without_a_peak_is_refused() -> None:
    with pytest.raises(UserError, match=r"says no bf16, in which runs train; add bf16=FLOP/s .*one of: fp32"):
        transformer("memory=80GB,fp32=67e12")
