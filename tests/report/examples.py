"""A small sweep, and records of results that were never measured: numbers to test the arithmetic with."""

from collections.abc import Mapping
from pathlib import Path

from mta_lab.config import RunConfig, plain
from mta_lab.records import Failure, Record, Records
from mta_lab.report import Table, build_table
from mta_lab.sweep import Sweep, load_sweep

ROWS = ("softmax", "narrow", "wide")
FILE = """
title: Kernel widths
base: {attention: {name: multi_token, pre_softmax: [key_query], post_softmax: [], norm: depth}}
baseline: softmax
seeds: 3
rows:
  softmax: {attention: softmax, published: table2.transformer}
  narrow: {attention.pre_softmax: [{name: key_query, kernel: [1, 1]}]}
  wide: {published: table5.12}
"""
CLEAR = {
    "softmax": {0: 30.0, 1: 30.3, 2: 29.8},
    "narrow": {0: 29.9, 1: 30.4, 2: 29.75},
    "wide": {0: 28.0, 1: 28.2, 2: 27.85},
}
"""`wide` is far below the noise, `narrow` inside it"""
IMPLEMENTATIONS = {"softmax": ("sdpa",), "narrow": ("sdpa", "streaming"), "wide": ("eager", "sdpa")}
"""what computed the attention of each row"""


def example_sweep(folder: Path, seeds: int | None = None) -> Sweep:
    """The sweep of FILE at the nano scale."""
    path = folder / "widths.yaml"
    path.write_text(FILE)
    return load_sweep(str(path), scale="nano", seeds=seeds)


def finish(records: Records, fingerprint: str, perplexity: float, config: RunConfig, *implementations: str) -> None:
    """Keep a made-up result."""
    records.finish(
        Record(
            fingerprint=fingerprint,
            config=plain(config),
            content_hash="text",
            parameters=1,
            quantity="perplexity",
            score=perplexity,
            domains={"github": perplexity - 1.0, "wikipedia": perplexity + 1.0},
            tokens_per_second=1000.0,
            seconds=1.0,
            losses=(),
            validations=(),
            run_id="",
            provenance={"machine": "a made-up machine", "threads": 1, "torch": "0", "commit": "none"},
            implementations=dict.fromkeys(implementations, "made up"),
        )
    )


def table_of(
    folder: Path, scores: Mapping[str, Mapping[int, float]], failed: Mapping[tuple[str, int], str] | None = None
) -> Table:
    """The table of the example sweep with these results and failures (row, seed) -> reason."""
    sweep, records = example_sweep(folder), Records(folder / "results")
    names = {(cell.row, cell.seed): f"{cell.row}-{cell.seed}" for cell in sweep.cells()}
    configs = {(cell.row, cell.seed): cell.config for cell in sweep.cells()}
    for row, values in scores.items():
        for seed, value in values.items():
            finish(records, names[row, seed], value, configs[row, seed], *IMPLEMENTATIONS[row])
    for (row, seed), reason in (failed or {}).items():
        label = f"{row} seed {seed}"
        records.fail(Failure(fingerprint=names[row, seed], label=label, reason=reason, traceback=""))
    return build_table(sweep, names, records)
