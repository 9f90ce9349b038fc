"""`bench`: what attention costs on this machine, at one level: an operation, a training step or the engine."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mta_lab.bench import engine, op, step
from mta_lab.bench.process import Laboratory
from mta_lab.bench.render import tables
from mta_lab.bench.results import Comparison, Report, Say, as_tree
from mta_lab.cli.common import make_console
from mta_lab.errors import UserError, nearest
from mta_lab.executors.local.pool import ENVIRONMENT
from mta_lab.provenance import provenance
from mta_lab.results.records import Records, write_whole
from mta_lab.words import counted, duration

ALLOCATORS = {"plain": {}, "workers": ENVIRONMENT}
"""settings of the memory allocator: as any process has it, and as a sweep's workers do"""
LEVELS = {"op": "plain", "step": "workers", "engine": "workers"}
"""what is measured, and under which allocator if nothing else is asked for"""
TIMES = "Times: medians (quartiles) of rounds, each of which runs every contestant once in turn, after a warm-up round."
MEMORY = "Memory: growth of the peak resident memory (ru_maxrss) of a fresh process that runs one contestant, in MB of"
NOTES = {
    "op": (TIMES, f"{MEMORY} 10^6 bytes: forward + backward; its inputs are not counted."),
    "step": (TIMES, f"{MEMORY} 10^6 bytes: weights, optimizer and {step.STEPS} steps. paper: Table 9, 880M, GPUs."),
    "engine": (TIMES,),
}


def run(
    words: Sequence[str],
    *,
    scale: str,
    components: Sequence[Path],
    shapes: Sequence[str],
    rounds: int | None,
    json_file: Path | None,
    plot: Path | None,
    allocator: str | None,
) -> None:
    """Measure the level that `words` begin with (default: step) under the settings behind it, and print tables."""
    level, settings = _level(words)
    if settings and level != "step":
        raise UserError(f"bench {level}: got '{settings[0]}', allowed: no settings; only the level step takes them")
    for option, given in (("--shape", shapes), ("--plot", plot)):
        if given and level != "op":
            raise UserError(f"bench {level}: {option} is for the level op only")
    if allocator and level == "engine":
        raise UserError("bench engine: --allocator is for the levels op and step only")
    allocator = allocator or LEVELS[level]
    if allocator not in ALLOCATORS:
        hint = nearest(allocator, ALLOCATORS) or ";"
        raise UserError(f"--allocator: got '{allocator}'{hint} allowed: {', '.join(ALLOCATORS)}")
    if plot is not None and plot.exists() and not plot.is_dir():
        raise UserError(f"--plot: {plot} is a file, allowed: a directory")
    chosen = [_shape(text) for text in shapes] or list(op.SHAPES)
    console = make_console()
    laboratory = Laboratory(ALLOCATORS[allocator])
    dtype = str(op.DTYPE).removeprefix("torch.")
    if level == "op":
        with _progress(console) as say:
            found = op.compare(laboratory, chosen, rounds, say)
    elif level == "step":
        entries = step.Entries(settings, scale, components)
        dtype = {"fp32": dtype, "bf16": "bfloat16 autocast"}[entries.configs[step.BASELINE].training.precision]
        with _progress(console) as say:
            found = [step.compare(laboratory, entries, rounds, say)]
    else:
        with _progress(console) as say:
            found = engine.compare(laboratory, scale, Records(), engine.RUNS, rounds, say)
    place = provenance(laboratory.threads()) | {"dtype": dtype, "allocator": allocator}
    report = Report(level=level, provenance=place, comparisons=tuple(found), notes=NOTES[level])
    console.print(tables(report))
    _keep(report, json_file)
    if plot is not None:
        drawn = _plots(laboratory, plot, chosen[0], rounds, place, console)
        _keep(replace(report, comparisons=(*found, *drawn)), json_file)


def _keep(report: Report, file: Path | None) -> None:
    """Write all that was measured so far, if that is asked for."""
    if file is not None:
        write_whole(file, json.dumps(as_tree(report), indent=1))


def _level(words: Sequence[str]) -> tuple[str, list[str]]:
    """The level and the settings; a first word without '=' is a level."""
    if not words or "=" in words[0]:
        return "step", list(words)
    if words[0] not in LEVELS:
        hint = nearest(words[0], LEVELS) or ";"
        raise UserError(f"bench: no level named '{words[0]}'{hint} levels: {', '.join(LEVELS)}")
    return words[0], list(words[1:])


def _shape(text: str) -> op.Shape:
    allowed = "allowed: batch,heads,tokens,head width, all 1 or more and an even number of heads, like 8,8,256,32"
    try:
        shape = op.Shape(*map(int, text.split(",")))
    except (ValueError, TypeError):
        raise UserError(f"--shape: got '{text}', {allowed}") from None
    if min(shape) < 1 or shape.heads % 2:
        raise UserError(f"--shape: got '{text}', {allowed}")
    return shape


def _plots(
    laboratory: Laboratory, directory: Path, shape: op.Shape, rounds: int | None, place: dict[str, object], out: Console
) -> list[Comparison]:
    """Measure and draw the curves, for the first shape: T with a batch of one, kernels at its T."""
    from mta_lab.bench import plot

    with _progress(out) as say:
        tokens = op.against_tokens(laboratory, shape._replace(batch=1), op.TOKENS, rounds, say)
    with _progress(out) as say:
        kernels = op.against_kernels(laboratory, shape, rounds, say)
    threads = counted(int(str(place["threads"])), "thread")
    foot = f"{place['machine']}, {threads}, torch {place['torch']}, commit {place['commit']}, {place['dtype']}"
    plot.against_tokens(directory / "tokens.svg", tokens, foot)
    plot.against_kernels(directory / "kernel.svg", kernels, foot)
    for note in dict.fromkeys(note for one in (*tokens, *kernels) for note in one.notes):
        out.print(note)
    out.print(f"{directory}/tokens.svg and {directory}/kernel.svg are written", soft_wrap=True)
    return [*tokens, *kernels]


@contextmanager
def _progress(console: Console) -> Iterator[Say]:
    """Shows what is measured and how long the rest may take: a bar in a terminal, plain lines in a log."""
    if not console.is_terminal:
        started = time.monotonic()

        def say(what: str, done: int, total: int) -> None:
            left = (time.monotonic() - started) * (total - done) / done if done else None
            rest = "" if left is None else f", about {duration(left)} left"
            console.print(f"measuring {done + 1}/{total}: {what}{rest}")

        yield say
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        run = bar.add_task("measuring")
        yield lambda what, done, total: bar.update(run, description=f"measuring {what}", completed=done, total=total)
