"""Level `engine`: what the engine itself costs: planning, launching and answering; and what finished cells took."""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mta_lab.bench import launches
from mta_lab.bench.measure import Work, take_turns
from mta_lab.bench.process import Laboratory
from mta_lab.bench.results import Comparison, Contestant, Measure, Say
from mta_lab.config import fingerprint
from mta_lab.records import Record, Records
from mta_lab.sweep import load_sweep
from mta_lab.words import counted

CELLS = (100, 1000, 10_000)
SEEDS = 10
PLAN, CELL = "plan", "training"


def compare(
    laboratory: Laboratory, scale: str, records: Records, cells: Sequence[int], rounds: int | None, say: Say
) -> list[Comparison]:
    """Time of planning sweeps of growing size, of launches, and of the cells in `records`, if there are any."""
    say(f"plans of {', '.join(map(str, cells))} cells", 0, 3)
    times = laboratory.call(_times, scale, tuple(cells), rounds)
    plans = Comparison(
        title=f"plan of a sweep ({scale}): resolve every row, fingerprint every cell",
        settings={"scale": scale, "seeds": SEEDS, "cells": list(cells)},
        contestants=tuple(
            Contestant(
                name=counted(size, "cell"),
                measures={PLAN: times[str(size)]},
                facts={"ms a cell": f"{1e3 * times[str(size)].median / size:.2f}"},
            )
            for size in cells
        ),
    )
    return [plans, *launches.compare(rounds, say), *_finished(records.all_finished(), records.directory)]


def _times(scale: str, cells: Sequence[int], rounds: int | None) -> dict[str, Measure]:
    with tempfile.TemporaryDirectory() as directory:
        return take_turns({str(size): _plan(Path(directory), scale, size) for size in cells}, rounds)


def _plan(directory: Path, scale: str, size: int) -> Work:
    """Planning of `size` cells: rows that differ in the learning rate, under SEEDS seeds each."""
    file = str(launches.write(directory / f"{size}.yaml", "{attention: multi_token}", rows=size // SEEDS, seeds=SEEDS))
    return lambda: [fingerprint(cell.config, "text") for cell in load_sweep(file, scale=scale).cells()]


def _finished(records: Sequence[Record], directory: Path) -> list[Comparison]:
    """Return what finished cells took, by scale: one comparison each, its variants the contestants."""
    found: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        variants = found.setdefault(record.config["scale"], {})
        variants.setdefault(record.config["attention"]["name"], []).append(record)
    return [
        Comparison(
            title=f"finished cells in {directory} ({scale})",
            settings={"scale": scale},
            contestants=tuple(_cells(name, variants[name]) for name in sorted(variants, key=lambda n: n != "softmax")),
            notes=("as recorded: whole runs, not side by side, perhaps of several machines",),
        )
        for scale, variants in found.items()
    ]


def _cells(name: str, records: Sequence[Record]) -> Contestant:
    speed = statistics.median(record.tokens_per_second for record in records)
    return Contestant(
        name=name,
        measures={CELL: Measure(unit="s", values=tuple(record.seconds for record in records))},
        facts={"cells": str(len(records)), "tokens/s": f"{speed:,.0f}"},
    )
