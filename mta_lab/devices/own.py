"""The device that this process trains and scores on: a worker's GPU, or the CPU.

A process uses one GPU, the first that CUDA_VISIBLE_DEVICES leaves it; other accelerators are not
used. Apart from `device`, a function asks nothing of a GPU where the device is the CPU.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from mta_lab.devices.visible import VISIBLE, driver, gpus

CPU = torch.device("cpu")


def device() -> torch.device:
    """Return the GPU of this process if torch can use one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else CPU


def on_gpu() -> bool:
    """Return whether this process computes on a GPU."""
    return device().type == "cuda"


def machine() -> str:
    """Return the name of what computes here: the GPU, or the processor and how many cores of it."""
    return torch.cuda.get_device_name() if on_gpu() else processor()


def kind() -> str:
    """Return what decides about rounding here: the GPU's name, or the processor and the threads."""
    if on_gpu():
        return machine()
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def trains_on() -> str:
    """Return the machine that a launch here trains on, without a CUDA context in this process."""
    found = gpus()
    return found[0].name if found else processor()


def processor() -> str:
    """Return the processor's name, and how many cores of it this process may use."""
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores"


def has_tf32() -> bool:
    """Return whether the device multiplies in TF32: NVIDIA's GPUs from Ampere on."""
    return on_gpu() and torch.version.hip is None and torch.cuda.get_device_capability() >= (8, 0)


def has_fp16() -> bool:
    """Return whether the device trains in float16: GPUs do, no kernel for a CPU here."""
    return on_gpu()


def has_graphs() -> bool:
    """Return whether the device can be told all kernels of a step at once: GPUs can."""
    return on_gpu()


def set_precision(precision: str) -> None:
    """Set how a GPU computes float32 products and convolutions: in TF32 for `tf32`, else exactly.

    By default torch rounds to TF32 in convolutions and not in products.
    """
    if on_gpu():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def set_deterministic(on: bool) -> None:
    """Set whether a GPU computes by algorithms alone that give the same bits each time.

    An operation that has none raises a RuntimeError then. On a CPU nothing changes.
    """
    if on_gpu():
        torch.use_deterministic_algorithms(on)


def place() -> Mapping[str, str]:
    """Return the machine, for the record.

    Of a GPU also its name in CUDA_VISIBLE_DEVICES, the driver, the CUDA of torch, TF32, and
    whether it gives the same bits each time.
    """
    if not on_gpu():
        return {"machine": processor()}
    return {
        "machine": machine(),
        "device": os.environ.get(VISIBLE, "0"),
        "driver": driver(),
        "cuda": str(torch.version.cuda),
        "tf32": "on" if torch.backends.cuda.matmul.allow_tf32 else "off",
        "deterministic": "yes" if torch.are_deterministic_algorithms_enabled() else "no",
    }


def free_memory() -> int:
    """Return the bytes that are free where this process computes.

    On a GPU also those that torch still holds of models that are gone.
    """
    if on_gpu():
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info()[0]
    return int(psutil.virtual_memory().available)


def start_peak() -> int:
    """Return freed memory of the GPU, start its peak anew, and return the bytes allocated now."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def peak() -> int:
    """Return the most bytes of the GPU that this process had allocated since `start_peak`."""
    return torch.cuda.max_memory_allocated()


def peak_of_all() -> str:
    """Return in words a GPU's peak beside its size; an empty string on the CPU."""
    if not on_gpu():
        return ""
    size = torch.cuda.get_device_properties(0).total_memory
    return f"; at most {peak() / 1e9:.1f} of the {size / 1e9:.1f} GB of {machine()} were allocated"


def synchronize(where: torch.device) -> None:
    """Wait until `where` has computed all that it was told to."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def timed(work: Callable[[], object], where: torch.device) -> float:
    """Return the seconds that `where` takes for what `work` tells it to do: on a GPU, its own."""
    if where.type != "cuda":
        started = time.perf_counter()
        work()
        return time.perf_counter() - started
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    before.record()
    work()
    after.record()
    after.synchronize()
    return float(before.elapsed_time(after)) / 1e3  # it is in milliseconds


def answers() -> bool:
    """Return whether this process's device still computes.

    After some errors a GPU refuses everything to the process that made them, and nothing to others.
    """
    try:
        return not torch.zeros(1, device=device()).item()
    except RuntimeError:
        return False


def random_states(where: torch.device) -> list[Tensor]:
    """Return torch's random states: the CPU's and, if `where` is a GPU, its own."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(where)] if where.type == "cuda" else [])]


def set_random_states(states: Sequence[Tensor]) -> None:
    """Set torch's random states to those that `random_states` returned."""
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)


def warm_up(where: torch.device) -> None:
    """Make torch start its threads, libraries and device, so that no run pays for it."""
    layer = torch.nn.Linear(256, 256, device=where)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    rows, targets = torch.randn(256, 256, device=where), torch.zeros(256, dtype=torch.long, device=where)
    torch.autograd.backward(F.cross_entropy(layer(rows), targets))
    torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
    optimizer.step()
    if where.type == "cuda":
        heads = torch.randn(1, 4, 64, 64, device=where, dtype=torch.bfloat16, requires_grad=True)
        torch.autograd.backward(F.scaled_dot_product_attention(heads, heads, heads, is_causal=True).sum())
        optimizer.zero_grad()
        torch.cuda.synchronize(where)
        torch.cuda.empty_cache()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
