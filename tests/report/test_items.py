"""The paper's items beside the written tables: a line each, whatever their version."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mta_lab.report.data import as_json
from mta_lab.report.items import HEADER, items, reproduced
from mta_lab.sweep import shipped_sweeps
from mta_lab.sweep.files import SHIPPED
from mta_lab.sweep.ledger import contents
from tests.report.examples import CLEAR, table_of
from tests.test_readme_numbers import numbers, sentences

RESULTS = Path(str(SHIPPED)) / "results"
PAGE = Path(__file__).parents[2] / "docs" / "reproduces.md"


def cells(text: str, sweep: str) -> list[dict[str, str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if f"| `mta-lab sweep {sweep}` |" in line]
    return [dict(zip(HEADER, line, strict=True)) for line in lines]


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Any]:
    """Write a table of `components` under made-up results, and return it."""
    table = json.loads(as_json(table_of(tmp_path, CLEAR)))
    table |= {"sweep": "components", "scale": "micro"}
    (tmp_path / "components-micro.json").write_text(json.dumps(table))
    return table


def test_every_item_and_every_sweep_has_a_line_or_is_named(tmp_path: Path) -> None:
    text = items(tmp_path)
    for item, shown in contents().items():
        assert item in text, item
        assert reproduced(shown) or f"{item} ({shown['shows']})" in text.splitlines()[-1]
    for sweep in shipped_sweeps():
        assert cells(text, sweep)[0]["table"] == "none yet"


def test_a_line_has_what_the_table_says(written: dict[str, Any], tmp_path: Path) -> None:
    (line,) = cells(items(tmp_path), "components")
    assert line["scale"] == "micro"
    assert re.fullmatch(r"4\.\d", line["tokens a parameter"]), "of nano, as the example is"
    assert line["seeds"] == "3"
    assert line["better, worse, equal, unresolved"] == "1, 0, 1, 0"
    assert line["detection limit"] == f"{written['detection_limit']:.1%}"
    assert line["signs (each improves; chance)"] == "1 of 1 (1; 100%)"
    assert line["table"] == "current"


def test_a_table_between_looks_has_the_seeds_that_its_verdicts_are_of(written: dict[str, Any], tmp_path: Path) -> None:
    looks = {"seeds": [3, 6, 12], "levels": [0.01, 0.015, 0.025], "used": 2}
    (tmp_path / "components-micro.json").write_text(json.dumps({**written, "seeds": [*range(12)], "looks": looks}))
    assert cells(items(tmp_path), "components")[0]["seeds"] == "6 of 12"


def test_a_stale_table_and_an_unfinished_one_say_so(written: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "components-micro.json"
    file.write_text(json.dumps({**written, "runs": {"finished": 7, "planned": 9}}))
    assert cells(items(tmp_path), "components")[0]["table"] == "7 of 9 runs"
    file.write_text(json.dumps({**written, "stale": "text"}))
    assert cells(items(tmp_path), "components")[0]["table"] == "**stale**"


def test_the_tables_that_ship_have_a_line_each() -> None:
    text = items(RESULTS)
    for file in RESULTS.glob("*.json"):
        table = json.loads(file.read_text())
        lines = [line for line in cells(text, table["sweep"]) if line["scale"] == table["scale"]]
        assert lines, file.name
        if table["sweep"] == "complexity":
            assert lines[0]["better, worse, equal, unresolved"] == "compared by cost"
            continue
        compared = sum(row["role"] == "row" and row["delta"] is not None for row in table["rows"])
        assert sum(map(int, lines[0]["better, worse, equal, unresolved"].split(", "))) == compared


def test_no_sentence_of_the_page_has_a_number_of_its_own() -> None:
    """Measured numbers stand in blocks; the paper's own tables and sections may be named."""
    page = PAGE.read_text(encoding="utf-8")
    page = re.sub(r"<!-- first step -->.*<!-- end of first step -->", "", page, flags=re.DOTALL)
    text = re.sub(r"(?:Tables?|Section|Figure) \d+(?: and \d+)?", "", sentences(page))
    assert numbers(text) == []
