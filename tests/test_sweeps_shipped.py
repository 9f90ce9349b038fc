"""Every sweep that ships: it loads at every scale, and its references say what the paper's ledger says."""

from typing import Any

import pytest
import yaml

from mta_lab.config import fingerprint, scales
from mta_lab.sweep import LEDGER, SHIPPED, load_sweep, shipped_sweeps

SWEEPS = shipped_sweeps()
LEDGER_TABLES: dict[str, dict[Any, dict[str, Any]]] = yaml.safe_load((SHIPPED / f"{LEDGER}.yaml").read_text())


def raw(name: str) -> dict[str, Any]:
    """The file as it is written."""
    found: dict[str, Any] = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    return found


def test_every_yaml_but_the_ledger_is_a_sweep() -> None:
    files = {path.name for path in SHIPPED.iterdir() if path.name.endswith(".yaml")}
    assert files == {f"{name}.yaml" for name in (*SWEEPS, LEDGER)}
    assert "kernel_sizes" in SWEEPS


@pytest.mark.parametrize("scale", scales())
@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_loads_at_every_scale(name: str, scale: str) -> None:
    sweep = load_sweep(name, scale=scale)
    assert {row.config.scale for row in sweep.rows} == {scale}
    assert [row.name for row in sweep.rows] == [str(row) for row in raw(name)["rows"]]
    assert sweep.baseline in {row.name for row in sweep.rows}
    assert len(sweep.cells()) == len(sweep.rows) * len(sweep.seeds)


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_says_what_it_is_and_names_its_baseline(name: str) -> None:
    file = raw(name)
    assert file["title"].strip()
    assert file["about"].strip()
    assert "baseline" in file


@pytest.mark.parametrize("name", SWEEPS)
def test_published_values_are_the_ledgers(name: str) -> None:
    written = {str(row): (values or {}).get("published") for row, values in raw(name)["rows"].items()}
    for row in load_sweep(name, scale="nano").rows:
        if written[row.name] is None:
            assert (row.published, row.references) == ({}, ())
            continue
        table, _, key = written[row.name].partition(".")
        printed = {str(key): values for key, values in LEDGER_TABLES[table].items()}
        assert row.published == printed[key]
        assert row.references == (written[row.name],)


@pytest.mark.parametrize("name", SWEEPS)
def test_rows_differ_from_each_other(name: str) -> None:
    sweep = load_sweep(name, scale="nano")
    cells = [fingerprint(cell.config, "text") for cell in sweep.cells()]
    assert len(set(cells)) == len(cells)
    assert all(bool(row.difference) == (row.name != sweep.baseline) for row in sweep.rows)


def test_domains_of_the_ledger_average_to_its_perplexity() -> None:
    rows = [row for table in LEDGER_TABLES.values() for row in table.values() if "domains" in row]
    assert rows
    for row in rows:
        assert len(row["domains"]) == 7
        assert sum(row["domains"].values()) / 7 == pytest.approx(row["perplexity"], abs=0.011)
