"""Stage `environment`: what is here, and the rates that a product and a copy reach."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mta_lab.devices import own
from mta_lab.devices.known import named_by_torch
from mta_lab.gpu_check.stages import StageError

SIDE, SMALL_SIDE = 8192, 256  # of the matrices that are multiplied
COPIED, SMALL_COPIED = 8e9, 1e6  # bytes that are copied
WORSE = 1e-2  # relative: bfloat16 rounds products to 8 bits, and sums of many in float32 little more


def run(_: Path, small: bool) -> dict[str, Any]:
    """Return versions, the operations a second of a product, and the bytes a second of a copy."""
    where = own.device()
    own.set_precision("fp32")
    side = SMALL_SIDE if small else SIDE
    a, b = torch.randn(2, side, side, device=where, dtype=torch.bfloat16)
    expected = a[:64].float() @ b.float()
    error = float(((a[:64] @ b).float() - expected).norm() / expected.norm())
    if not error < WORSE:
        raise StageError(f"a product in bfloat16 differs by {error:.1e} from one in float32, allowed: {WORSE}")
    rate = 2 * side**3 / _best(lambda: torch.mm(a, b), where)
    given = torch.zeros(
        int(min(SMALL_COPIED if small else COPIED, own.free_memory() / 4)), device=where, dtype=torch.uint8
    )
    taken = torch.empty_like(given)
    speed = 2 * given.numel() / _best(lambda: taken.copy_(given), where)  # read once, written once
    facts = {**own.place(), "torch": torch.__version__, "triton": _version("triton"), "product_error": error}
    facts |= {"bf16_operations_a_second": rate, "bytes_a_second": speed}
    if device := named_by_torch(own.machine()):
        facts["share_of_peak"] = rate / device.peak("bf16")
        facts["share_of_bandwidth"] = speed / device.bandwidth if device.bandwidth else None
    return facts


def _best(work: Any, where: torch.device) -> float:
    """Return the least seconds of several times, after one that is not counted."""
    work()
    return min(own.timed(work, where) for _ in range(5))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
