"""The kind of failure of an exception, and the `retry` section of a sweep file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mta_lab.errors import UserError
from mta_lab.results.failures import KINDS, RETRY, Kind, kind_of
from tests.test_sweep import GOOD, load

SAID = "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
ERRORS: list[tuple[BaseException, Kind]] = [
    (MemoryError(), "out_of_memory"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
    (RuntimeError(SAID), "out_of_memory"),
    (RuntimeError("CUDA error: out of memory"), "out_of_memory"),
    (OSError(12, "Cannot allocate memory"), "out_of_memory"),
    (FloatingPointError("the training loss is nan at step 3"), "diverged"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out_of_memory"),
    (torch.AcceleratorError("an illegal instruction"), "device"),
    (RuntimeError("CUDA error: device-side assert triggered"), "device"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), "device"),
    (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), "device"),
    (RuntimeError("NCCL error: unhandled system error"), "device"),
    (RuntimeError("No CUDA GPUs are available"), "device"),
    (ValueError("no NCCL here"), "exception"),
    (RuntimeError("size mismatch"), "exception"),
    (ValueError("out of memory runs"), "exception"),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda value: str(value)[:30])
def test_exceptions_are_told_apart(error: BaseException, kind: Kind) -> None:
    assert kind_of(error) == kind


def test_a_sweep_without_the_section_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).retry == RETRY
    assert load(tmp_path, {**GOOD, "retry": None}).retry == RETRY


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_set_leaves_the_others(kind: Kind, tmp_path: Path) -> None:
    assert load(tmp_path, {**GOOD, "retry": {kind: 7}}).retry == {**RETRY, kind: 7}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"kiled": 2}, r"retry\.kiled: no such kind of failure; did you mean 'killed'\? allowed: exception, "),
        ({"killed": -1}, r"retry\.killed: got -1, allowed: 0 or more"),
        ({"killed": "often"}, r"retry\.killed: got 'often', allowed: 0 or more"),
        ({"killed": True}, r"retry\.killed: got True, allowed"),
        (3, r"retry: got 3, allowed: a mapping of exception"),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(section: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"norms\.yaml: {says}"):
        load(tmp_path, {**GOOD, "retry": section})
