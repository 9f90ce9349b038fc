"""Measure what attention costs here: in one operation, a training step or the engine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from mta_lab.bench import engine, generate, op, plot, step
from mta_lab.bench.process import Laboratory
from mta_lab.bench.render import tables
from mta_lab.bench.results import Comparison, Report, Say, as_tree
from mta_lab.devices import own
from mta_lab.devices.visible import gpus
from mta_lab.errors import UserError, nearest
from mta_lab.executors.local.worker import ENVIRONMENT
from mta_lab.provenance import provenance
from mta_lab.results.records import Records, write_whole
from mta_lab.words import counted

ALLOCATORS = {"plain": {}, "workers": ENVIRONMENT}
"""environment variables of the memory allocator: none, or those of a sweep's workers"""
LEVELS = {"op": "plain", "step": "workers", "generate": "plain", "engine": "workers"}
"""level -> its allocator by default"""
TIMES = "Times: medians (quartiles) of rounds, each of which runs every contestant once in turn, after a warm-up round."
WITHIN = "of a fresh process that runs one contestant, in MB of 10^6 bytes"
RESIDENT, ALLOCATED = "the peak resident memory (ru_maxrss)", "what torch allocates on the GPU, at most,"
COUNTED = {
    "op": "forward + backward; its inputs are not counted.",
    "step": f"weights, optimizer and {step.STEPS} steps. paper: Table 9, 880M, GPUs.",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of a measurement."""

    settings: Sequence[str] = ()
    """settings, for level step only"""
    scale: str = "nano"
    components: Sequence[Path] = ()
    shapes: Sequence[str] = ()
    """shapes, for level op only, like 8,8,256,32"""
    rounds: int | None = None
    """number of rounds; None: as many as fit into a few seconds"""
    allocator: str | None = None
    """one of ALLOCATORS; None: the level's default"""


def level_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the level and the settings that `words` give; the level is `step` by default."""
    if not words or "=" in words[0]:
        return "step", list(words)
    if words[0] not in LEVELS:
        hint = nearest(words[0], LEVELS) or ";"
        raise UserError(f"bench: no level named '{words[0]}'{hint} levels: {', '.join(LEVELS)}")
    return words[0], list(words[1:])


class Measurement:
    """A benchmark at one level.

    Raises:
        UserError: an option is given that the level does not take.
    """

    def __init__(self, level: str, request: Request) -> None:
        if request.settings and level != "step":
            given = request.settings[0]
            raise UserError(f"bench {level}: got '{given}', allowed: no settings; only the level step takes them")
        if request.shapes and level != "op":
            raise UserError(f"bench {level}: --shape is for level op only; type `mta-lab bench op --shape ...`")
        if request.allocator and level == "engine":
            raise UserError("bench engine: --allocator is for levels op and step only")
        allocator = request.allocator or LEVELS[level]
        if allocator not in ALLOCATORS:
            hint = nearest(allocator, ALLOCATORS) or ";"
            raise UserError(f"--allocator: got '{allocator}'{hint} allowed: {', '.join(ALLOCATORS)}")
        self.level, self.request, self.allocator = level, request, allocator
        self.shapes = [_shape(text) for text in request.shapes] or list(op.SHAPES)
        self.laboratory = Laboratory(ALLOCATORS[allocator])

    def taken(self, say: Say) -> Report:
        """Measure, and return a report; `say` is told of each step."""
        request, laboratory = self.request, self.laboratory
        dtype, found = str(op.here().dtype).removeprefix("torch."), list[Comparison]()
        if self.level == "op":
            found = op.compare(laboratory, self.shapes, request.rounds, say)
        elif self.level == "step":
            entries = step.Entries(request.settings, request.scale, request.components)
            dtype = {"fp32": "float32", "bf16": "bfloat16 autocast"}[entries.configs[step.BASELINE].training.precision]
            found = [step.compare(laboratory, entries, request.rounds, say)]
        elif self.level == "generate":
            dtype = "float32"
            found = generate.compare(laboratory, generate.TOKENS, request.rounds, say)
        else:
            found = engine.compare(laboratory, request.scale, Records(), engine.RUNS, request.rounds, say)
        place = {**provenance(laboratory.threads()), **laboratory.call(own.place)}
        place.update(dtype=dtype, allocator=self.allocator)
        return Report(level=self.level, provenance=place, comparisons=tuple(found), notes=_notes(self.level))

    def against_tokens(self, say: Say) -> list[Comparison]:
        """Measure cost against the number of tokens, for the first shape with a batch of one."""
        return op.against_tokens(self.laboratory, self.shapes[0]._replace(batch=1), op.TOKENS, self.request.rounds, say)

    def against_kernels(self, say: Say) -> list[Comparison]:
        """Measure cost against the size of the kernel, for the first shape."""
        return op.against_kernels(self.laboratory, self.shapes[0], self.request.rounds, say)


def shown(report: Report) -> RenderableType:
    """Return all that was measured as tables for a terminal, with how and where it was measured."""
    return tables(report)


def keep(report: Report, file: Path) -> None:
    """Write a report to a file as JSON."""
    write_whole(file, json.dumps(as_tree(report), indent=1))


def draw(directory: Path, tokens: list[Comparison], kernels: list[Comparison], place: Mapping[str, object]) -> None:
    """Draw the curves of cost against tokens and kernel size as SVG files in `directory`."""
    threads = counted(int(str(place["threads"])), "thread")
    foot = f"{place['machine']}, {threads}, torch {place['torch']}, commit {place['commit']}, {place['dtype']}"
    plot.against_tokens(directory / "tokens.svg", tokens, foot)
    plot.against_kernels(directory / "kernel.svg", kernels, foot)


def _notes(level: str) -> tuple[str, ...]:
    """Return how the level's times and memory are measured here."""
    if level not in COUNTED:
        return (TIMES,)
    return (TIMES, f"Memory: growth of {ALLOCATED if gpus() else RESIDENT} {WITHIN}: {COUNTED[level]}")


def _shape(text: str) -> op.Shape:
    allowed = "allowed: batch,heads,tokens,head width, all 1 or more and an even number of heads, like 8,8,256,32"
    try:
        shape = op.Shape(*map(int, text.split(",")))
    except (ValueError, TypeError):
        raise UserError(f"--shape: got '{text}', {allowed}") from None
    if min(shape) < 1 or shape.heads % 2:
        raise UserError(f"--shape: got '{text}', {allowed}")
    return shape
