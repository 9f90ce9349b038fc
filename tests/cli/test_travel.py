"""Results that were taken elsewhere: reported without their text, listed, merged and archived."""

import json
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.records import Failure, Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import example_record

OWN = "data.path=mine"
SCORES = {"transformer": (31.0, 31.5, 30.8), "1x1": (31.1, 31.4, 30.9), "4x9": (30.1, 30.6)}
Names = Mapping[tuple[str, int], str]


def train(records: Records, content_hash: str, *rows: str) -> Names:
    """Made-up results on a text of that hash, of some rows of `kernel_sizes`."""
    names = {}
    for cell in load_sweep("kernel_sizes", scale="nano", settings=[OWN]).cells():
        scores = SCORES.get(cell.row, ())
        if cell.seed < len(scores) and cell.row in (rows or SCORES):
            name = names[cell.row, cell.seed] = fingerprint(cell.config, content_hash)
            record = example_record(name, scores[cell.seed], cell.config)
            records.finish(replace(record, content_hash=content_hash))
    return names


@pytest.fixture
def elsewhere(lab: Command, corpus: Corpus) -> Path:
    """A directory with finished runs; the text and what was prepared of it are gone."""
    train(Records(), corpus.content_hash)
    shutil.rmtree("data")
    shutil.rmtree("mine")
    return Path("results")


def test_a_report_needs_no_text(lab: Command, elsewhere: Path, corpus: Corpus) -> None:
    done = lab("report", "kernel_sizes", OWN, "--format", "json")
    assert done.status == 0
    rows = {row["row"]: row for row in json.loads(done.out)["rows"]}
    assert {name: tuple(rows[name]["scores"].values()) for name in SCORES} == SCORES
    assert f"its text is not prepared here; its finished runs read {corpus.content_hash[:16]}" in done.err


def test_plan_status_and_why_know_what_is_finished_without_its_text(lab: Command, elsewhere: Path) -> None:
    assert "7 of 15 cells" in lab("sweep", "kernel_sizes", OWN, "--dry-run").out
    assert "8" in lab("status", "kernel_sizes", OWN).out.split("all")[-1]
    assert "4x9 seed 0: finished" in lab("why", "kernel_sizes", "4x9", OWN).out


def test_runs_of_two_texts_are_not_mixed(lab: Command, elsewhere: Path, corpus: Corpus) -> None:
    train(Records(), "f" * 64, "1x1")
    said = lab("report", "kernel_sizes", OWN).complaint
    assert f"read 2 texts ({corpus.content_hash[:16]}: 8 runs" in said.replace(f"({'f' * 16}", "(")
    assert f"{'f' * 16}: 3 runs" in said


def test_a_text_of_stale_runs_does_not_stand_in_the_way(lab: Command, elsewhere: Path) -> None:
    config = load_sweep("kernel_sizes", scale="nano", settings=[OWN]).cells()[0].config
    Records().finish(replace(example_record("0" * 16, 40.0, config), content_hash="e" * 64, engine=1))
    done = lab("report", "kernel_sizes", OWN, "--format", "json")
    assert done.status == 0
    assert json.loads(done.out)["cells"]["finished"] == 8


def test_a_path_that_never_was_is_a_mistake_still(lab: Command, elsewhere: Path) -> None:
    assert "data.path: " in lab("report", "kernel_sizes", "data.path=mien").complaint
