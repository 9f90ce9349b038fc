"""Stage `step`: a training step of the paper's four models at the widths of its 880M ones."""

from pathlib import Path
from typing import Any

from mta_lab.bench.step import STEP, Entries, published
from mta_lab.config import RunConfig
from mta_lab.devices import own
from mta_lab.devices.known import named_by_torch
from mta_lab.model import build_model, implementations
from mta_lab.planning.by_arithmetic import operations_of
from mta_lab.training.step import random_step

SETTINGS = ("model.layers=4", "training.batch_size=4", "training.micro_batch=4")
SMALL = ("model.width=32", "model.heads=2", "model.vocabulary=260", "model.context=32", "training.precision=fp32")
STEPS = 3


def run(_: Path, small: bool) -> dict[str, Any]:
    """Return tokens a second, peak bytes and share of the device's peak of each model.

    Beside them stands the paper's time over that of its Transformer, of 24 layers.
    """
    entries = Entries([*SETTINGS, *(SMALL if small else ())], "paper-880m", [])
    ratios = {name: published(name).get(STEP) for name in entries.configs}
    return {name: _of(config) | {"published_time_ratio": ratios[name]} for name, config in entries.configs.items()}


def _of(config: RunConfig) -> dict[str, Any]:
    where, tokens = own.device(), config.tokens_per_step
    own.set_precision(config.training.precision)
    before = own.start_peak() if own.on_gpu() else 0
    model = build_model(config, seed=0)
    step = random_step(model, config, where)
    step()
    seconds = min(own.timed(step, where) for _ in range(STEPS))
    rate = operations_of(config, config.training.batch_size) / seconds
    device = named_by_torch(own.machine())
    return {
        "tokens_a_second": tokens / seconds,
        "peak_bytes": own.peak() - before if own.on_gpu() else None,
        "operations_a_second": rate,
        "share_of_peak": rate / device.peak(config.training.precision) if device else None,
        "attention": list(implementations(model)),
    }
