"""A written table says whether its sweep would come to it today; each cause is named alone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import RunConfig, fingerprint, identity_of
from mta_lab.report import build_table
from mta_lab.report.data import as_json
from mta_lab.report.stale import BEFORE, changed_since_written, mark
from mta_lab.results.records import Records
from mta_lab.results.states import OTHERWISE, changed_since
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command, lab, typed  # noqa: F401
from tests.config.helpers import config
from tests.report.examples import example_record

SWEEP = """
title: Heads
base: {attention: softmax}
rows:
  two: {model.heads: 2}
  one: {model.heads: 1}
seeds: 2
"""
Table = dict[str, Any]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """A whole table, as it was written today, and its sweep's file in this folder."""
    monkeypatch.chdir(tmp_path)
    Path("heads.yaml").write_text(SWEEP)
    sweep, records, names = load_sweep("heads.yaml", scale="nano", settings=["training.steps=500"]), Records(), {}
    for run in sweep.runs():
        name = names[run.row, run.seed] = fingerprint(run.config, "text")
        identity = identity_of(run.config, "text")
        record = example_record(name, 30.0 + run.seed, run.config)
        records.finish(replace(record, meaning=identity.meaning, engine=identity.engine))
    found: Table = json.loads(as_json(build_table(sweep, names, records)))
    return found


def each_run(table: Table, change: Callable[[Table], None]) -> None:
    for row in table["rows"]:
        for run in row["runs"].values():
            change(run)


def as_of(table: Table, **parts: Any) -> None:
    """Make the table's runs ones of another identity."""
    each_run(table, lambda run: run.update(parts, fingerprint="0123456789abcdef"))


def test_a_table_of_todays_runs_is_not_stale(table: Table) -> None:
    assert changed_since_written(table) == []
    assert changed_since_written(table, lambda _: "text") == []


def test_a_row_without_a_finished_run_makes_no_table_stale(table: Table) -> None:
    table["rows"][1]["runs"] = {}
    assert changed_since_written(table) == []


CAUSES: Mapping[str, tuple[Callable[[Table], None], list[str]]] = {
    "engine": (lambda table: as_of(table, engine=3), ["engine version (3 then, 4 now)"]),
    "meaning": (lambda table: as_of(table, meaning="other", torch=None), ["what its components compute"]),
    "component": (lambda table: as_of(table, component_code="other"), ["component code"]),
    "text": (lambda table: as_of(table, text="other"), ["text"]),
    "identification": (as_of, [OTHERWISE]),
    "no fingerprints": (lambda table: each_run(table, lambda run: run.pop("fingerprint")), [BEFORE]),
    "arithmetic": (
        lambda table: table.update(mixed_arithmetic={"fused, fp32": {"0a": ["two seed 0"], "1b": ["two seed 1"]}}),
        ["its runs were computed in several arithmetics (fused, fp32)"],
    ),
    "no runs": (lambda table: [row.pop("runs") for row in table["rows"]] and None, [BEFORE]),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_in_a_table_is_named_alone(table: Table, cause: str) -> None:
    change, said = CAUSES[cause]
    change(table)
    assert changed_since_written(table, lambda _: "text") == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model.heads: 1}", "model.heads: 4}", ["model.heads of row one (1 then, 4 now)"]),
        (
            "base: {",
            "base: {training.weight_decay: 0.3, ",
            [f"training.weight_decay of row {row} (0.05 then, 0.3 now)" for row in ("two", "one")],
        ),
        ("  one: {model.heads: 1}\n", "", ["row one is gone"]),
        ("  one:", "  four: {model.heads: 4}\n  one:", ["row four is new"]),
        ("title: Heads", "title: Other words", []),
        ("rows:", "row:", ["the sweep cannot be read today"]),
    ],
)
def test_a_change_of_the_sweep_file_is_named_alone(table: Table, old: str, new: str, said: list[str]) -> None:
    Path("heads.yaml").write_text(SWEEP.replace(old, new))
    found = changed_since_written(table)
    assert [line.partition(":")[0] for line in found] == [line.partition(":")[0] for line in said]


def test_text_is_compared_where_it_is_here(table: Table) -> None:
    assert changed_since_written(table, lambda _: "another") == ["text"]
    assert changed_since_written(table, lambda _: "") == []


def test_a_table_is_marked_in_both_files_and_the_mark_goes_with_its_cause(tmp_path: Path, table: Table) -> None:
    file, drawn = tmp_path / "heads-nano.json", tmp_path / "heads-nano.md"
    file.write_text(json.dumps(table, indent=2) + "\n")
    drawn.write_text("### Heads (nano)\n\n**Perplexity**\n\n| row |\n")
    before = file.read_text(), drawn.read_text()
    for cause in ("text", "settings"):
        mark(file, [cause])
        assert json.loads(file.read_text())["stale"] == cause
        marked = f"**Stale**: {cause}; not to be compared run by run with today's."
        assert drawn.read_text() == f"### Heads (nano)\n\n{marked}\n\n**Perplexity**\n\n| row |\n"
    mark(file, [])
    assert (file.read_text(), drawn.read_text()) == before


def test_the_command_marks_what_is_stale_and_refuses_what_is_no_table(
    lab: Command,  # noqa: F811
    tmp_path: Path,
    table: Table,
) -> None:
    as_of(table, engine=3)
    Path("old.json").write_text(json.dumps(table))
    done = lab("results", "mark", "old.json")
    assert (done.status, done.out) == (0, "old.json: stale: engine version (3 then, 4 now)\n")
    Path("list.json").write_text("[]")
    assert "list.json: is not a table" in lab("results", "mark", "old.json", "list.json").complaint


def test_each_cause_of_a_stale_record_is_named_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run: RunConfig = config()
    now = identity_of(run, "text")
    record = replace(example_record("then", 30.0, run), meaning=now.meaning, engine=now.engine)
    torch = {**record.provenance, "torch": "1.0"}
    monkeypatch.setattr("mta_lab.results.states.version", lambda _: "2.0")
    causes = {
        "engine version (3 then, 4 now)": {"engine": 3},
        "engine version (an earlier one then, 4 now)": {"engine": None},
        "component code": {"component_code": "other"},
        "what its components compute (torch 1.0 then, 2.0 now)": {"meaning": "other", "provenance": torch},
        "what its components compute": {"meaning": "other", "provenance": {**torch, "torch": "2.0"}},
        "text": {"content_hash": "other"},
        OTHERWISE: {},
    }
    said = [changed_since(replace(record, **parts), run, "text") for parts in causes.values()]
    assert said == list(causes)
    both = replace(record, meaning="other", content_hash="other", provenance={})
    assert changed_since(both, run, "text") == "what its components compute, text"
