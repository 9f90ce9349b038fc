"""Stage `attention`: forward and backward of MTA's operations, in each implementation."""

import math
from pathlib import Path
from typing import Any

import torch

from components.attention import AttentionConfig
from mta_lab.bench import op
from mta_lab.bench.measure import peak_growth, take_turns
from mta_lab.devices import own
from mta_lab.gpu_check.stages import StageError

SHAPES = (op.Shape(1, 16, 2048, 96), op.Shape(4, 16, 2048, 96), op.Shape(32, 8, 256, 32))
SMALL_SHAPES = (op.Shape(1, 2, 160, 8),)
ROUNDS = 5
STORES = "eager"  # the implementation that stores maps
LONG = 2048  # tokens; from here on `streaming` must take less memory than that


def run(_: Path, small: bool) -> list[dict[str, Any]]:
    """Return seconds and peak bytes by shape and implementation; sdpa is plain attention."""
    own.warm_up(own.device())
    return [_of(shape) for shape in (SMALL_SHAPES if small else SHAPES)]


def _of(shape: op.Shape) -> dict[str, Any]:
    config = op.attention(op.OPERATIONS["mta"])
    able, notes = op.contestants(config, shape)
    found = {impl: _measured(config, shape, impl) for impl in able}
    peaks = {impl: one["peak_bytes"] for impl, one in found.items() if "peak_bytes" in one}
    if own.on_gpu() and shape.tokens >= LONG and peaks["streaming"] >= peaks.get(STORES, math.inf):
        raise StageError(f"{shape}: streaming takes {peaks['streaming']:.3g} bytes, {STORES} {peaks[STORES]:.3g}")
    return {"shape": str(shape), "implementations": found, "notes": list(notes)}


def _measured(config: AttentionConfig, shape: op.Shape, impl: str) -> dict[str, Any]:
    """Return the seconds of an implementation, and its peak; where it takes too much, only that."""
    works = {kind: op.work(config, shape, impl, kind) for kind in (op.FORWARD, op.BOTH)}
    try:
        seconds = {kind: measure.median for kind, measure in take_turns(works, ROUNDS, own.device()).items()}
        return {"seconds": seconds, "peak_bytes": peak_growth(works[op.BOTH]).median}
    except torch.OutOfMemoryError:
        if impl != STORES:
            raise
        return {"error": "it takes more memory than there is"}
