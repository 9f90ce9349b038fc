"""`mta-lab note`: a note on a run reaches tables, `why` and other directories."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import example_record

FILE = """
title: Mine
base: {task: {name: find_block, blocks: 6}, model.vocabulary: 28}
rows: {plain: {}, talking: {attention: talking_heads}}
"""
TEXT = "the loss jumps at step 400"


@pytest.fixture
def names(lab: Command) -> list[str]:
    """The fingerprints of two finished runs of a sweep in the current directory."""
    Path("mine.yaml").write_text(FILE)
    names = []
    for run in load_sweep("mine.yaml", scale="nano").runs():
        if run.seed == 0:
            names.append(fingerprint(run.config, ""))
            made = replace(example_record(names[-1], 0.25, run.config), content_hash="", quantity="error_rate")
            Records().finish(replace(made, domains={"all": 0.25}, validations=[[1, 0.25]]))
    return names


def test_a_note_stands_below_the_table_and_in_why(lab: Command, names: list[str]) -> None:
    assert lab("note", "mine.yaml", "talking").out == "no note is kept\n"
    assert TEXT in lab("note", "mine.yaml", "talking", "--text", TEXT).out
    assert TEXT in lab("note", names[1]).out
    assert f"- Note on talking seed 0: {TEXT}." in lab("report", "mine.yaml", "--format", "markdown").out
    assert f"  note: {TEXT}" in lab("why", "mine.yaml", "talking").out
    lab("note", names[1], "--text", "")
    assert TEXT not in lab("report", "mine.yaml", "--format", "markdown").out


def test_notes_travel_with_their_runs(lab: Command, names: list[str]) -> None:
    lab("note", names[0], "--text", TEXT)
    lab("results", "export", "mine.yaml", "--output", "there")
    assert json.loads(Path("there/notes.json").read_text()) == {names[0]: TEXT}
    Path("results/notes.json").unlink()
    lab("results", "merge", "there")
    assert TEXT in lab("note", names[0]).out


def test_a_damaged_file_of_notes_says_what_to_do(lab: Command, names: list[str]) -> None:
    Path("results/notes.json").write_text("[]")
    assert "mend it, or delete it with all notes: rm results/notes.json" in lab("note", names[0]).complaint
