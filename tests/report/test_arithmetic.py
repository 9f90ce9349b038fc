"""A table whose runs were rounded otherwise says so, in every format, and names the runs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from mta_lab.report import Table
from mta_lab.report.arithmetic import mixed
from mta_lab.report.notes import notes
from mta_lab.report.run_lines import as_csv
from tests.report.examples import CLEAR, example_record, example_sweep, table_of
from tests.report.test_render import FORMATS, shown

OLD, NEW = {"fused, fp32": "0a0a0a0a", "sdpa, fp32": "11111111"}, {"fused, fp32": "b1b1b1b1"}


def table(folder: Path, **arithmetic: Any) -> Table:
    """The example with these bits: row -> of all its runs."""
    return table_of(folder, CLEAR, changes={row: {"arithmetic": bits} for row, bits in arithmetic.items()})


def said(found: Table) -> str:
    return "\n".join(note for note in notes(found) if note.startswith("Mixed arithmetic"))


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("json", "csv")])
def test_a_baseline_of_other_kernels_than_its_rows_is_marked(form: str, tmp_path: Path) -> None:
    text = " ".join(shown(table(tmp_path, softmax=OLD, narrow=OLD, wide=NEW), form).split())
    assert "Mixed arithmetic: fused, fp32 did not compute all runs to the same bits" in text
    assert "6 runs (0a0a0a0a); wide seed 0, wide seed 1, wide seed 2 (b1b1b1b1)" in text
    assert "3.4" in text


def test_the_mark_is_a_field_for_programs_and_every_run_has_its_bits(tmp_path: Path) -> None:
    found = table(tmp_path, softmax=OLD, narrow=OLD, wide=NEW)
    document = json.loads(shown(found, "json"))
    assert document["mixed_arithmetic"]["fused, fp32"]["b1b1b1b1"] == [f"wide seed {seed}" for seed in range(3)]
    runs = {row["row"]: row["runs"] for row in document["rows"]}
    assert (runs["softmax"]["0"]["arithmetic"], runs["wide"]["2"]["arithmetic"]) == (OLD, NEW)
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [line["arithmetic.fused, fp32"] for line in lines] == 6 * ["0a0a0a0a"] + 3 * ["b1b1b1b1"]


def test_one_arithmetic_is_not_marked_whatever_implementations_and_precisions_there_are(tmp_path: Path) -> None:
    bf16 = {"fused, bf16": "cccccccc"}
    assert mixed(table(tmp_path, softmax=OLD, narrow=NEW | {"fused, fp32": OLD["fused, fp32"]}, wide=bf16)) == {}


def test_runs_of_before_it_was_recorded_count_as_another(tmp_path: Path) -> None:
    """`wide` ran eager and sdpa, `softmax` sdpa; unrecorded, nothing is known to be mixed."""
    assert said(table(tmp_path)) == ""
    found = said(table(tmp_path, softmax={"sdpa, fp32": "11111111"}))
    assert "sdpa, fp32 did not" in found
    assert "6 runs (not recorded); softmax seed 0, softmax seed 1" in found


def test_parts_that_divide_the_runs_alike_are_one_note(tmp_path: Path) -> None:
    one = {"fused, fp32": "0a0a0a0a", "matrix products, fp32": "0a0a0a0a"}
    other = dict.fromkeys(one, "b1b1b1b1")
    found = said(table(tmp_path, softmax=one, narrow=one, wide=other))
    assert found.startswith("Mixed arithmetic: fused, fp32 and matrix products, fp32 did not compute")
    assert "\n" not in found


def test_runs_that_were_resumed_with_another_micro_batch_are_named(tmp_path: Path) -> None:
    origin = dict(example_record("one", 30.0, example_sweep(tmp_path).rows[0].config).provenance)
    changes = {
        row: {"provenance": {**origin, "micro_batches": sizes}} for row, sizes in (("wide", [8, 4]), ("narrow", [8]))
    }
    (found,) = [note for note in notes(table_of(tmp_path, CLEAR, changes=changes)) if note.startswith("Resumed with")]
    assert "wide seed 0 (8, then 4), wide seed 1 (8, then 4), wide seed 2 (8, then 4)." in found
    assert not [note for note in notes(table(tmp_path)) if note.startswith("Resumed with")]


def test_runs_that_went_on_on_another_kind_of_machine_are_named(tmp_path: Path) -> None:
    origin = dict(example_record("one", 30.0, example_sweep(tmp_path).rows[0].config).provenance)
    changes = {"wide": {"provenance": {**origin, "machines": ["NVIDIA A100", "NVIDIA H100"]}}}
    (found,) = [note for note in notes(table_of(tmp_path, CLEAR, changes=changes)) if note.startswith("Resumed")]
    assert found.startswith("Resumed across kinds of machine: wide seed 0 (NVIDIA A100, then NVIDIA H100), wide seed 1")


def test_runs_that_were_trained_on_another_number_of_devices_are_named(tmp_path: Path) -> None:
    origin = dict(example_record("one", 30.0, example_sweep(tmp_path).rows[0].config).provenance)
    changes = {"wide": {"provenance": {**origin, "devices_per_run": 4, "threads": 8}}}
    built = table_of(tmp_path, CLEAR, changes=changes)
    assert [place.split(", ")[1] for place in built.provenance] == ["1 thread a run", "8 threads in 4 processes a run"]
    (found,) = [note for note in notes(built) if note.startswith("Devices a run")]
    assert found.startswith("Devices a run: 6 runs on 1; wide seed 0, wide seed 1, wide seed 2 on 4. Each step is the")
    assert not [note for note in notes(table(tmp_path)) if note.startswith("Devices a run")]
