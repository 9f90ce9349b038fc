"""`mta-lab bench`: what attention costs on this machine's device, measured and printed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale
from mta_lab.cli.terminal import make_console
from mta_lab.errors import UserError
from mta_lab.words import duration

if TYPE_CHECKING:
    from mta_lab.bench.results import Report
    from mta_lab.lab.measuring import Measurement

Say = Callable[[str, int, int], None]


def bench(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[op|step|generate|engine] [KEY=VALUE]...",
            help="op: the attention core alone; step: a whole training step (default), under settings (attention.KEY "
            "where a variant has it; attention=NAME: this one only); generate: a further token with a cache; engine: "
            "plans, launches, answers, finished runs",
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="op: batch,heads,tokens,head width, like 8,8,256,32; repeatable")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="how often each is measured; default: what fits into a few seconds, 3 to 25"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write everything that was measured to FILE")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="op: draw cost against tokens and kernel size (SVG)")
    ] = None,
    allocator: Annotated[
        str | None,
        typer.Option(
            metavar="[plain|workers]",
            help="op, step: memory as in any process, or under the settings of a sweep's workers, from which eager "
            "gains most; default: op plain, step workers",
        ),
    ] = None,
) -> None:
    """Measure what attention costs on the device that trains.

    That is a GPU, or the CPU. Variants are measured in turns, and compared by ratios.
    """
    level, settings = lab.measuring.level_of(words or [])
    if plot is not None and level != "op":
        raise UserError(f"bench {level}: --plot is for the level op only")
    if plot is not None and plot.exists() and not plot.is_dir():
        raise UserError(f"--plot: {plot} is a file, allowed: a directory")
    request = lab.measuring.Request(
        settings=settings,
        scale=scale,
        components=components or [],
        shapes=shape or [],
        rounds=rounds,
        allocator=allocator,
    )
    measurement, console = lab.measuring.Measurement(level, request), make_console()
    with _progress(console) as say:
        report = measurement.taken(say)
    console.print(lab.measuring.shown(report))
    if json_file is not None:
        lab.measuring.keep(report, json_file)
    if plot is not None:
        report = _plotted(measurement, report, plot, console)
        if json_file is not None:
            lab.measuring.keep(report, json_file)


def _plotted(measurement: "Measurement", report: "Report", directory: Path, console: Console) -> "Report":
    """Measure and draw the curves; return the report with what was measured for them."""
    with _progress(console) as say:
        tokens = measurement.against_tokens(say)
    with _progress(console) as say:
        kernels = measurement.against_kernels(say)
    lab.measuring.draw(directory, tokens, kernels, report.provenance)
    for note in dict.fromkeys(note for one in (*tokens, *kernels) for note in one.notes):
        console.print(note)
    console.print(f"{directory}/tokens.svg and {directory}/kernel.svg are written", soft_wrap=True)
    return replace(report, comparisons=(*report.comparisons, *tokens, *kernels))


@contextmanager
def _progress(console: Console) -> Iterator[Say]:
    """Show what is being measured and the time left: a bar in a terminal, plain lines in a log."""
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
