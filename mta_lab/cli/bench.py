"""`bench`: forward and backward of every attention variant, float32 on the CPU, side by side in one process."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from rich.progress import track
from rich.table import Table as RichTable
from torch.utils.benchmark import Timer

from components.registry import FAMILIES
from mta_lab.cli.common import make_console
from mta_lab.config import Layer, RunConfig, command_line, resolve, scale_layer
from mta_lab.model import Decoder, build_model, count_parameters, implementations
from mta_lab.plugins import load_components

ROUNDS = 7


def measure(settings: Sequence[str], scale: str, components: Sequence[Path]) -> None:
    """Print forward + backward time of a whole model for every attention variant, and its ratio to softmax.

    The variants take turns, so that a machine that slows down slows them all; the median of the turns counts.
    """
    load_components(components)
    names = FAMILIES["attention"].names()
    configs = {
        name: resolve([scale_layer(scale), Layer("bench", {"attention": name}), command_line(settings)])
        for name in names
    }
    models = {name: build_model(config, seed=0) for name, config in configs.items()}
    timers = {name: _timer(models[name], config) for name, config in configs.items()}
    turns: dict[str, list[float]] = {name: [] for name in names}
    console = make_console()
    for _ in track(range(ROUNDS), "measuring", console=console, transient=True):
        for name, timer in timers.items():
            turns[name].append(timer.timeit(1).mean)
    times = {name: median(turns[name]) for name in names}
    batch, context = configs["softmax"].training.batch_size, configs["softmax"].model.context
    title = f"forward + backward, {scale}: batch {batch}, context {context}, {torch.get_num_threads()} threads"
    table = RichTable(title=title)
    for column in ("attention", "parameters", "ms a step", "times softmax", "tokens/s", "impl"):
        table.add_column(column, justify="left" if column == "attention" else "right")
    for name in sorted(names, key=times.__getitem__):
        ratio, speed = times[name] / times["softmax"], batch * context / times[name]
        parameters = count_parameters(configs[name])
        ran = " + ".join(implementations(models[name]))
        table.add_row(name, f"{parameters:,}", f"{1e3 * times[name]:.1f}", f"{ratio:.2f}", f"{speed:,.0f}", ran)
    console.print(table)


def _timer(model: Decoder, config: RunConfig) -> Timer:
    shape = (config.training.batch_size, config.model.context + 1)
    tokens = torch.randint(config.model.vocabulary, shape, generator=torch.Generator().manual_seed(0))

    def step() -> None:
        logits = model(tokens[:, :-1])
        torch.autograd.backward(F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()))
        model.zero_grad()

    return Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
