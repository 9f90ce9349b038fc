"""Every sweep that ships, in small: each row trains for two steps, each format shows its table."""

import csv
import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mta_lab.data import Corpus, prepare
from mta_lab.launch.recording import record_of
from mta_lab.planning.runs import Run, runs_of, with_parents
from mta_lab.report import FORMATS, Table, build_table, render
from mta_lab.results.records import Records
from mta_lab.sweep import PlannedRun, Sweep, load_sweep, shipped_sweeps
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.run import train
from tests.shipped import shipped

SWEEPS = shipped_sweeps()
TWO_STEPS = ("training.steps=2", "training.warmup_steps=1", "training.validations=1", "training.batch_size=2")
LANGUAGE = ("model.context=16", "training.validation_tokens=64")
TOY = ("task.held_out=4",)  # its sequences are as long as they are
Tabulate = Callable[[str], Table]


def loaded(name: str, text: Path) -> Sweep:
    """The shipped sweep at the smallest size that all its rows allow, one seed of each."""
    reads = shipped(name).rows[0].config.reads_text
    sizes = (*LANGUAGE, f"data.path={text}") if reads else TOY
    if shipped(name).rows[0].config.task.name == "practice":
        sizes += ("task=language",)  # no exercise fits into so few tokens; tests/training has its own
    sweep = load_sweep(name, scale="nano", settings=[*TWO_STEPS, *sizes], seeds=1)
    return replace(sweep, evaluations=())  # asking is tested elsewhere, and takes longer


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains of one-paragraph documents, for the vocabulary of the nano scale."""
    generator = random.Random(0)
    folder = tmp_path_factory.mktemp("text")
    words = ["the", "cat", "sees", "a", "river", "and", "old", "trees"]
    for domain in ("news", "tales"):
        documents = (" ".join(generator.choices(words, k=60)) for _ in range(60))
        (folder / f"{domain}.txt").write_text("\n\n".join(documents))
    return folder


@pytest.fixture(scope="module")
def tabulate(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Tabulate:
    """The table of a shipped sweep; each run is trained once, whichever sweeps share it."""
    corpora = tmp_path_factory.mktemp("corpora")
    records = Records(tmp_path_factory.mktemp("results"))

    def open_corpus(run: PlannedRun) -> Corpus:
        return prepare(run.config.data, run.config.model.vocabulary, corpora)

    def made(name: str) -> Table:
        sweep = loaded(name, text)
        tasks = runs_of(sweep, open_corpus)
        for task in with_parents(tasks):
            if records.finished(task.fingerprint) is None:
                keep(records, task, open_corpus(task) if task.config.reads_text else None)
        return build_table(sweep, {(task.row, task.seed): task.fingerprint for task in tasks}, records)

    return made


def keep(records: Records, task: Run, corpus: Corpus | None) -> None:
    """Train a run and keep its result."""
    start = records.weights(task.parent.fingerprint) if task.parent else None
    checkpoints = Checkpoints(records.checkpoints(task.fingerprint), start=start)
    result = train(task.config, corpus, checkpoints=checkpoints, weights=records.weights(task.fingerprint))
    assert result.validations[-1].step == task.config.training.steps
    records.finish(record_of(task, result, run_id="", threads=1))


def shown(table: Table, form: str) -> str:
    console = Console(file=StringIO(), width=240)
    render(table, form, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("name", SWEEPS)
def test_every_row_trains_and_its_table_is_shown_in_every_format(name: str, tabulate: Tabulate) -> None:
    table = tabulate(name)
    rows = [row.name for row in table.rows]
    assert rows == [row.name for row in shipped(name).rows]
    scores = {row.name: row.measured.scores for row in table.rows}
    for row, found in scores.items():
        assert list(found) == [0], row
        assert math.isfinite(found[0]), row
        assert found[0] <= 1 if table.sweep.metric.is_share else 1 < found[0] < 5000, row
    assert table.finished == len(rows)
    effects = table.effects.effects if table.effects else ()
    assert not [name for effect in effects for name in effect.column.names if "parent" in name]
    texts = {form: shown(table, form) for form in FORMATS}
    for form in ("rich", "markdown"):
        assert [row for row in rows if row not in texts[form].replace("\\", "")] == [], form
    assert texts["latex"].count("\\begin{tabular}") == texts["latex"].count("\\end{tabular}") >= 2
    document = {row["row"]: row for row in json.loads(texts["json"])["rows"]}
    assert {row: found["scores"] for row, found in document.items()} == {
        row: {str(seed): score for seed, score in found.items()} for row, found in scores.items()
    }
    lines = list(csv.DictReader(StringIO(texts["csv"])))
    assert {line["row"]: float(line["score"]) for line in lines} == {row: found[0] for row, found in scores.items()}
