"""Every sweep that ships loads at every scale; its references say what the paper's ledger says."""

import re
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import RunConfig, fingerprint, identified_by, plain, read_yaml, scales
from mta_lab.sweep import load_sweep, shipped_sweeps
from mta_lab.sweep.files import SHIPPED
from mta_lab.sweep.ledger import LEDGER, ledger
from tests.shipped import shipped

ROOT = Path(__file__).parents[1]
SWEEPS = shipped_sweeps()
LEDGER_ROWS = {f"{table}.{row}": values for table, rows in ledger().items() for row, values in rows.items()}


def raw(name: str) -> dict[str, Any]:
    """The file as it is written."""
    found: dict[str, Any] = read_yaml(SHIPPED / f"{name}.yaml", name)
    return found


def test_every_yaml_but_the_ledger_is_a_sweep() -> None:
    files = {path.name for path in SHIPPED.iterdir() if path.name.endswith(".yaml")}
    assert files == {f"{name}.yaml" for name in (*SWEEPS, LEDGER)}
    assert "kernel_sizes" in SWEEPS


@pytest.mark.parametrize("scale", scales())
@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_loads_at_every_scale(name: str, scale: str) -> None:
    sweep = shipped(name, scale)
    assert {row.config.scale for row in sweep.rows} == {scale}
    rows = raw(name)["rows"]
    if isinstance(rows, dict) and not any("grid" in (row or {}) for row in rows.values()):  # and not generated
        assert [row.name for row in sweep.rows] == [str(row) for row in rows]
    assert sweep.baseline in {row.name for row in sweep.rows}
    assert len(sweep.runs()) == len(sweep.rows) * len(sweep.seeds)


def test_a_sweep_that_is_named_by_its_path_loads_without_the_model_that_it_starts_from() -> None:
    """Its weights are identified in the file, so that it can be planned and read anywhere."""
    (file,) = (ROOT / "sweeps" / "opt_in").glob("*.yaml")
    sweep = load_sweep(str(file), scale="nano")
    assert {row.config.model.kv_heads for row in sweep.rows} == {3}
    assert {identified_by(row.config.init) for row in sweep.rows} == {"174abc8c45a69036"}
    assert file.stem not in SWEEPS


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_says_what_it_is_and_names_its_baseline(name: str) -> None:
    file = raw(name)
    assert file["title"].strip()
    assert file["about"].strip()
    assert "baseline" in file


@pytest.mark.parametrize("name", SWEEPS)
def test_published_values_are_the_ledgers(name: str) -> None:
    for row in shipped(name).rows:
        printed = [LEDGER_ROWS[reference] for reference in row.references]
        assert row.published == {key: value for values in printed for key, value in values.items()}


LLAMAS = {f"table10.llama {size} to {end}" for size in ("3.2 1B", "3.2 3B", "3.1 8B") for end in ("same", "mta")}
"""for sweeps of those who have these weights, which do not ship"""


def test_every_published_value_is_referred_to_by_a_row() -> None:
    referred = {reference for name in SWEEPS for row in shipped(name).rows for reference in row.references}
    assert set(LEDGER_ROWS) == referred | LLAMAS


def test_rows_of_a_printed_configuration_have_its_published_value() -> None:
    """A row that is, at the paper's size, one of Table 2 or 5 says so.

    A search's rows have settings of their own, and those that are asked questions another metric.
    """
    printed = {
        row.config: row.references
        for name in ("components", "language_modeling")
        for row in shipped(name, "paper-880m").rows
        if row.references
    }
    for name in SWEEPS:
        sweep = shipped(name, "paper-880m")
        lacking = [row.name for row in sweep.rows if row.config in printed and not row.references]
        assert sweep.search or sweep.evaluations or not lacking, name


def test_base_of_figure_5_lies_on_its_axis() -> None:
    """Six of 24 layers are the paper's every fourth: that row is in Table 5, and on the ticks."""
    row = shipped("kq_layers", "paper-880m").row("6 layers")
    same = [
        one
        for one in shipped("components", "paper-880m").rows
        if _every_fourth(one.config) == _every_fourth(row.config)
    ]
    assert [one.references for one in same] == [row.references] == [("table5.9",)]
    assert 11.125 <= row.published["perplexity"] <= 11.250


def _every_fourth(config: RunConfig) -> str:
    """The attention as text, its one rule for layers in one form."""
    return str(plain(config.attention)).replace("spread 6", "every 4")


def test_table_5_is_whole_in_one_sweep() -> None:
    references = [row.references for row in shipped("components").rows]
    assert [f"table5.{number}" for number in range(1, 18)] == [r for (r,) in filter(None, references) if "table5" in r]


@pytest.mark.parametrize("name", SWEEPS)
def test_rows_differ_from_each_other(name: str) -> None:
    sweep = shipped(name)
    runs = [fingerprint(run.config, "text") for run in sweep.runs()]
    assert len(set(runs)) == len(runs)
    assert all(bool(row.difference) == (row.name != row.baseline) for row in sweep.rows)


def test_domains_of_the_ledger_average_to_its_perplexity() -> None:
    rows = [row for row in LEDGER_ROWS.values() if {"domains", "perplexity"} <= row.keys()]
    assert rows
    for row in rows:
        assert len(row["domains"]) == 7
        assert sum(row["domains"].values()) / 7 == pytest.approx(row["perplexity"], abs=0.011)


FOLDERS = ("components", "mta_lab", "sweeps", "tests", ".github")
YAML_FILES = [
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.y*ml"))),
    *sorted(ROOT.glob(".*.y*ml")),
]


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_yaml_file_that_ships_is_read_by_the_one_reader(file: Path) -> None:
    assert read_yaml(file, file.name)


def test_no_yaml_file_is_overlooked() -> None:
    names = {str(path.relative_to(ROOT)) for path in YAML_FILES}
    assert {"sweeps/paper.yaml", "mta_lab/config/scales/nano.yaml", ".pre-commit-config.yaml"} <= names
    assert len(names) >= len(SWEEPS) + len(scales()) + 2


def test_nothing_of_ours_reads_yaml_in_another_way() -> None:
    readers = {"mta_lab/config/reader.py", "mta_lab/cli/completion.py"}
    readers.add("tests/huggingface/test_card.py")  # as others read what we write
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT))
        for path in sources
        if re.search(r"^\s*(import yaml|from (yaml|ruamel)\b)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == readers
