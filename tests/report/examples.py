"""A small sweep, and records of results that were never measured, to test the arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from components.evaluations.needles import FOUND
from components.tasks import FindBlock
from mta_lab.config import RunConfig, plain
from mta_lab.report import Table, build_table
from mta_lab.results.evaluated import Evaluated, GroupScores
from mta_lab.results.records import Failure, Record, Records
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
  wide: {published: table5.9}
"""
CLEAR = {
    "softmax": {0: 30.0, 1: 30.3, 2: 29.8},
    "narrow": {0: 29.9, 1: 30.4, 2: 29.75},
    "wide": {0: 28.0, 1: 28.2, 2: 27.85},
}
"""`wide` is far below the noise, `narrow` inside it and equal within 1 %"""
UNCLEAR = {"narrow": {0: 29.9, 1: 31.0, 2: 29.4}}
"""`narrow` again: neither different nor equal"""
IMPLEMENTATIONS = {"softmax": ("sdpa",), "narrow": ("sdpa", "streaming"), "wide": ("eager", "sdpa")}
"""what computed the attention of each row"""
AGAIN = {"again": {0: 30.2, 1: 29.7, 2: 30.15}}
"""an A/A row's results, for the file below"""
WITH_CONTROL = FILE + "  again: {attention: softmax, stream: other}\n"
GROUPS = [f"{count} needles, {depth} %" for count in (2, 4) for depth in (0, 25, 50, 75, 100)]
"""of questions to a finished run"""
FACTS = [f"task {task}, {tokens}" for task in (1, 2) for tokens in ("0k", "1k", "2k")]


def shares(score: float, n: int = 100, groups: Sequence[str] = GROUPS) -> GroupScores:
    return GroupScores(
        scores=dict.fromkeys(groups, score),
        low=dict.fromkeys(groups, max(score - 0.1, 0.0)),
        high=dict.fromkeys(groups, min(score + 0.1, 1.0)),
        n=dict.fromkeys(groups, n),
    )


def asked(score: float, finished: str = "2026-01-02T00:00:00+00:00") -> Evaluated:
    return Evaluated(
        name="needles",
        settings={"samples": 100},
        metrics={FOUND.name: shares(score)},
        floors={"any number at random": dict.fromkeys(GROUPS, 1 / 9)},
        notes=["6 needles and a question need 156 tokens, not 128"],
        finished=finished,
    )


def asked_facts(score: float) -> Evaluated:
    return replace(
        asked(score),
        name="babilong",
        metrics={FOUND.name: shares(score, groups=FACTS)},
        floors={"any label at random": dict.fromkeys(FACTS, 1 / 6)},
    )


def example_sweep(folder: Path, file: str = FILE) -> Sweep:
    """The sweep of `file` at the nano scale, with the name that it has in its own folder."""
    path = folder / "widths.yaml"
    path.write_text(file)
    return replace(load_sweep(str(path), scale="nano"), name="widths")


def scored_by(sweep: Sweep, quantity: str) -> Sweep:
    """The same rows, trained on a task of that quantity."""
    if quantity == sweep.metric.name:
        return sweep

    def moved(config: RunConfig) -> RunConfig:
        return replace(config, model=replace(config.model, vocabulary=28), task=FindBlock(blocks=6))

    return replace(sweep, rows=tuple(replace(row, config=moved(row.config)) for row in sweep.rows))


def finish(
    records: Records, fingerprint: str, perplexity: float, config: RunConfig, *implementations: str, **changes: Any
) -> None:
    """Keep a made-up result, with other fields than the usual ones where `changes` says so.

    Its domains are brought to a mean that is its score, as that of a run is; an error rate is the
    same in each.
    """
    made = replace(example_record(fingerprint, perplexity, config, *implementations), **changes)
    if made.metric.is_share and "domains" not in changes:
        made = replace(made, domains=dict.fromkeys(made.domains, made.score))
    mean = fmean(made.domains.values())
    if mean != made.score:
        made = replace(made, domains={name: value * made.score / mean for name, value in made.domains.items()})
    records.finish(made)


def example_record(fingerprint: str, perplexity: float, config: RunConfig, *implementations: str) -> Record:
    """A made-up result."""
    return Record(
        fingerprint=fingerprint,
        config=plain(config),
        content_hash="text",
        parameters=1,
        quantity="perplexity",
        score=perplexity,
        domains={"github": perplexity - 1.0, "wikipedia": perplexity + 1.0},
        tokens_per_second=1000.0,
        seconds=12.0,
        training_seconds=10.0,
        peak_memory=2_000_000,
        flops_per_token=3000.0,
        scored={"github": 500, "wikipedia": 500},
        losses=(),
        validations=[[256, 1.2 * perplexity], [512, 1.1 * perplexity], [1024, perplexity]],
        run_id="",
        provenance={"machine": "a made-up machine", "threads": 1, "torch": "0", "commit": "none"},
        implementations=dict.fromkeys(implementations, "made up"),
    )


def made_up_name(row: str, seed: int) -> str:
    """Return a made-up fingerprint of a run."""
    return "".join(filter(str.isalnum, f"{row}{seed}"))


def table_of(
    folder: Path,
    scores: Mapping[str, Mapping[int, float]],
    failed: Mapping[tuple[str, int], str] | None = None,
    *,
    sweep: Sweep | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Table:
    """The table of a sweep (the example) with these results and failures: (row, seed) -> reason.

    `changes` are other fields of a row's records than the usual ones.
    """
    sweep, records = sweep or example_sweep(folder), Records(folder / "results")
    names = {(run.row, run.seed): made_up_name(run.row, run.seed) for run in sweep.runs()}
    configs = {(run.row, run.seed): run.config for run in sweep.runs()}
    for row, values in scores.items():
        for seed, value in values.items():
            own = {"quantity": sweep.metric.name, **(changes or {}).get(row, {})}
            finish(records, names[row, seed], value, configs[row, seed], *IMPLEMENTATIONS.get(row, ()), **own)
    for (row, seed), reason in (failed or {}).items():
        label = f"{row} seed {seed}"
        records.fail(Failure(fingerprint=names[row, seed], label=label, reason=reason, traceback="a traceback"))
    return build_table(sweep, names, records)


def with_rows(sweep: Sweep, **changes: Mapping[str, Any]) -> Sweep:
    """The sweep with other fields in some rows: row -> field -> value."""
    return replace(sweep, rows=tuple(replace(row, **changes.get(row.name, {})) for row in sweep.rows))


def renamed(table: Table, names: Mapping[str, str]) -> Table:
    """The table with other names for some rows."""
    rows = tuple(replace(row, name=names.get(row.name, row.name)) for row in table.rows)
    return replace(table, rows=rows)
