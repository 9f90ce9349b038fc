"""Stage `attention`: forward and backward of MTA's operations, in each implementation."""

from pathlib import Path
from typing import Any

from mta_lab.bench import op
from mta_lab.bench.measure import peak_growth, take_turns
from mta_lab.devices import own
from mta_lab.gpu_check.stages import StageError

SHAPES = (op.Shape(1, 16, 2048, 96), op.Shape(4, 16, 2048, 96), op.Shape(32, 8, 256, 32))
SMALL_SHAPES = (op.Shape(1, 2, 160, 8),)
ROUNDS = 5
LONG = 2048  # tokens; from here on `streaming` must take less memory than `eager`, which stores maps


def run(_: Path, small: bool) -> list[dict[str, Any]]:
    """Return seconds and peak bytes by shape and implementation; sdpa is plain attention."""
    own.warm_up(own.device())
    return [_of(shape) for shape in (SMALL_SHAPES if small else SHAPES)]


def _of(shape: op.Shape) -> dict[str, Any]:
    config = op.attention(op.OPERATIONS["mta"])
    able, notes = op.contestants(config, shape)
    works = {f"{impl}, {kind}": op.work(config, shape, impl, kind) for impl in able for kind in (op.FORWARD, op.BOTH)}
    seconds = {name: measure.median for name, measure in take_turns(works, ROUNDS).items()}
    peaks = {impl: peak_growth(works[f"{impl}, {op.BOTH}"]).median for impl in able}
    if own.on_gpu() and shape.tokens >= LONG and peaks["streaming"] >= peaks["eager"]:
        raise StageError(
            f"{shape}: streaming takes {peaks['streaming']:.3g} bytes, no less than eager's {peaks['eager']:.3g}"
        )
    return {"shape": str(shape), "seconds": seconds, "peak_bytes": peaks, "notes": list(notes)}
