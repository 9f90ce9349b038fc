"""`training.precision: auto`: the faster precision here, measured once a machine and remembered.

bfloat16 gains where the processor multiplies it and the model is wide, and loses elsewhere:
conversions cost more than the products save. So a few steps of both decide. They are those of plain
attention under one thread, so that every row of a sweep, whatever its attention, and every command,
whatever its workers, comes to the same precision.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from components.attention import PLAIN
from components.optimizers import ADAMW
from mta_lab.config import Precision, RunConfig
from mta_lab.devices import own
from mta_lab.devices.child import computing
from mta_lab.errors import UserError
from mta_lab.model import build_model
from mta_lab.results.records import write_whole
from mta_lab.strict import FaultError, as_json, content
from mta_lab.training.step import random_step
from mta_lab.workspace import user_cache

WORTH = 1.1  # bf16 must be this much faster: it costs digits
SECONDS = 2.0  # of measuring, and at least ROUNDS steps of each
ROUNDS = 3
LAYERS, TOKENS = 2, 4096  # at most, in the steps that are measured


def resolve_auto(config: RunConfig, like: RunConfig, say: Callable[[str], None]) -> RunConfig:
    """Return `config` with 'auto' replaced by the faster precision for the sizes of `like`.

    Says which and why, once.
    """
    if config.training.precision != "auto":
        return config
    ratio = _remembered(_probe(like), say)
    return replace(config, training=replace(config.training, precision="bf16" if ratio >= WORTH else "fp32"))


def _probe(config: RunConfig) -> RunConfig:
    """Return a model of the same widths with plain attention.

    Everything that does not bear on the ratio is left out.
    """
    model = replace(config.model, layers=min(config.model.layers, LAYERS))
    batch_size = max(1, min(config.training.batch_size, TOKENS // model.context))
    training = replace(config.training, batch_size=batch_size, micro_batch="auto", compile="auto")
    training = replace(training, optimizer=ADAMW, no_decay=())
    training = replace(training, z_loss=0.0, label_smoothing=0.0, auxiliary={})  # plain attention has none of its own
    return replace(config, model=model, training=training, attention=PLAIN, seed=0)


@cache
def _remembered(probe: RunConfig, say: Callable[[str], None]) -> float:
    """Return how many times as fast as in fp32 a step in bf16 is.

    The value is from the cache, or measured and put there.
    """
    file, known = cache_file(), _read(cache_file())
    capability = torch.backends.cpu.get_cpu_capability()
    key = f"{own.trains_on()} {capability}, torch {torch.__version__}, {probe.model}, batch {probe.training.batch_size}"
    how = f"measured before, see {file}"
    if key not in known:
        with computing() as call:
            known[key] = call(measure, probe)
        how = f"measured just now, kept in {file}"
        try:
            write_whole(file, json.dumps(known, indent=1))
        except UserError as error:
            how = f"measured just now, not kept: {error}"
    chosen = "bf16" if known[key] >= WORTH else "fp32"
    say(f"training.precision: auto is {chosen}: a step in bf16 is {known[key]:.2f} times as fast as in fp32 ({how})")
    return known[key]


def cache_file() -> Path:
    """Return the file of measurements in the user's cache; raise UserError if there is no home."""
    folder = user_cache()
    if folder is None:
        raise UserError("training.precision: auto: there is no home folder to keep its measurement; set XDG_CACHE_HOME")
    return folder / "precision.json"


def _read(file: Path) -> dict[str, float]:
    """Return the measurements in `file`; none where it is absent or damaged."""
    try:
        known = as_json(content(file))
    except (OSError, FaultError):
        return {}
    right = isinstance(known, dict) and all(type(ratio) in (int, float) and ratio > 0 for ratio in known.values())
    return known if right else {}


def measure(config: RunConfig) -> float:
    """Return the time of an fp32 step over that of a bf16 one.

    They are medians of steps that take turns, under one thread.
    """
    device = own.device()
    own.set_precision("fp32")
    step = random_step(build_model(config, seed=0), config, device)

    def timed(precision: Precision) -> float:
        started = time.perf_counter()
        step(precision)
        own.synchronize(device)
        return time.perf_counter() - started

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times: dict[Precision, list[float]] = {"fp32": [], "bf16": []}
        for precision in times:
            timed(precision)  # first steps allocate
        until = time.perf_counter() + SECONDS
        while len(times["bf16"]) < ROUNDS or time.perf_counter() < until:
            for precision, taken in times.items():
                taken.append(timed(precision))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times["fp32"]) / statistics.median(times["bf16"])
