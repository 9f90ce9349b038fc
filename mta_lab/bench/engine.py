"""Measure level `engine`: planning, launching and answering; and list times of finished runs."""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mta_lab.bench import launches
from mta_lab.bench.measure import Work, take_turns
from mta_lab.bench.process import Laboratory
from mta_lab.bench.results import Comparison, Contestant, Measure, Say
from mta_lab.config import fingerprint
from mta_lab.results.records import Record, Records
from mta_lab.sweep import load_sweep
from mta_lab.words import counted

RUNS = (100, 1000, 10_000)
SEEDS = 10
PLAN, RUN = "plan", "training"


def compare(
    laboratory: Laboratory, scale: str, records: Records, runs: Sequence[int], rounds: int | None, say: Say
) -> list[Comparison]:
    """Return times of plans of growing size, of launches, and of the finished runs in `records`."""
    say(f"plans of {', '.join(map(str, runs))} runs", 0, 3)
    times = laboratory.call(_times, scale, tuple(runs), rounds)
    plans = Comparison(
        title=f"plan of a sweep ({scale}): resolve every row, fingerprint every run",
        settings={"scale": scale, "seeds": SEEDS, "runs": list(runs)},
        contestants=tuple(
            Contestant(
                name=counted(size, "run"),
                measures={PLAN: times[str(size)]},
                facts={"ms a run": f"{1e3 * times[str(size)].median / size:.2f}"},
            )
            for size in runs
        ),
    )
    return [plans, *launches.compare(rounds, say), *_finished(records.all_finished(), records.directory)]


def _times(scale: str, runs: Sequence[int], rounds: int | None) -> dict[str, Measure]:
    with tempfile.TemporaryDirectory() as directory:
        return take_turns({str(size): _plan(Path(directory), scale, size) for size in runs}, rounds)


def _plan(directory: Path, scale: str, size: int) -> Work:
    """Return a call that plans `size` runs: rows with other learning rates, SEEDS seeds each."""
    file = str(launches.write(directory / f"{size}.yaml", "{attention: multi_token}", rows=size // SEEDS, seeds=SEEDS))
    return lambda: [fingerprint(run.config, "text") for run in load_sweep(file, scale=scale).runs()]


def _finished(records: Sequence[Record], directory: Path) -> list[Comparison]:
    """Return the times of finished runs: one comparison a scale, one contestant a variant."""
    found: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        variants = found.setdefault(record.config["scale"], {})
        variants.setdefault(record.config["attention"]["name"], []).append(record)
    return [
        Comparison(
            title=f"finished runs in {directory} ({scale})",
            settings={"scale": scale},
            contestants=tuple(_runs(name, variants[name]) for name in sorted(variants, key=lambda n: n != "softmax")),
            notes=("as recorded: whole runs, not measured in turns, perhaps on several machines",),
        )
        for scale, variants in found.items()
    ]


def _runs(name: str, records: Sequence[Record]) -> Contestant:
    speed = statistics.median(record.tokens_per_second for record in records)
    return Contestant(
        name=name,
        measures={RUN: Measure(unit="s", values=tuple(record.seconds for record in records))},
        facts={"runs": str(len(records)), "tokens/s": f"{speed:,.0f}"},
    )
