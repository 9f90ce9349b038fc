"""Every form of a table says what it shows: sweep, scale, changed settings, rows, seeds, runs."""

import csv
import json
import re
from dataclasses import replace
from html import unescape
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mta_lab.report import FORMATS, Table, build_table, render
from mta_lab.report.data import document
from mta_lab.report.files import write_figures, write_index, write_page
from mta_lab.report.html import index_html, sweep_html
from mta_lab.report.render import page_of
from mta_lab.results.records import Records
from mta_lab.sweep import Sweep
from tests.report.examples import CLEAR, example_sweep, table_of
from tests.shipped import shipped

CHANGED = {"model.heads": 2, "training.steps": 500}
CONDITIONS = "nano, model.heads=2, training.steps=500"
EXTENT = "3 rows, seeds 0 to 2, 9 runs finished"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """A whole table under settings of the command line."""
    monkeypatch.chdir(tmp_path)
    return table_of(tmp_path, CLEAR, sweep=replace(example_sweep(tmp_path), settings=CHANGED))


def printed(table: Table, form: str) -> str:
    console = Console(file=StringIO(), width=200)
    render(table, form, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def captions(html: str) -> list[str]:
    return [unescape(text) for text in re.findall("<figcaption>(.*?)</figcaption>", html, flags=re.DOTALL)]


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("csv", "json")])
def test_a_drawn_table_says_what_it_shows(table: Table, form: str) -> None:
    text = printed(table, form).replace("\\", "")
    assert CONDITIONS in text
    assert EXTENT in text


def test_csv_and_json_hold_the_changed_settings(table: Table) -> None:
    lines = list(csv.DictReader(StringIO(printed(table, "csv"))))
    assert {line["changed"] for line in lines} == {"model.heads=2, training.steps=500"}
    found = json.loads(printed(table, "json"))
    assert found["changed"] == CHANGED
    assert found["file"].endswith("widths.yaml")
    assert document(build_table(shipped("masking"), {}, Records(Path("none"))))["file"] is None


def test_every_caption_of_a_page_says_what_the_figure_is_of(table: Table) -> None:
    html = sweep_html(table, page_of(table), "", "")
    assert len(captions(html)) >= 4
    assert [text for text in captions(html) if not text.endswith(f"Runs at {CONDITIONS}: {EXTENT}.")] == []
    assert EXTENT in unescape(html).split("</header>")[0]


def test_a_file_of_a_figure_says_what_it_shows(table: Table) -> None:
    for form in ("svg", "png", "pdf"):
        (file, *_) = write_figures(table, form)
        content = file.read_bytes()
        assert file.name.startswith("widths-nano-model.heads=2,training.steps=500-")
        assert (b"training.steps=500" in content) or (b"/Title" in content)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({}, "3 rows, seeds 0 to 2, 0 of 9 runs finished"),
        ({"wide": {1: 28.0}}, "3 rows, seeds 0 to 2, 1 of 9 runs finished"),
        (CLEAR, EXTENT),
    ],
)
def test_the_extent_counts_runs(tmp_path: Path, scores: dict[str, dict[int, float]], said: str) -> None:
    assert table_of(tmp_path, scores).extent == said


def test_the_extent_of_one_run_is_singular(tmp_path: Path) -> None:
    sweep = example_sweep(tmp_path)
    one = replace(sweep, rows=sweep.rows[:1], seeds=(0,))
    assert build_table(one, {}, Records(tmp_path / "none")).extent == "1 row, seed 0, 0 of 1 run finished"


def test_captions_speak_of_the_paper_only_where_values_are_published(table: Table, tmp_path: Path) -> None:
    assert any("published" in text for text in captions(sweep_html(table, page_of(table), "", "")))
    own = table_of(tmp_path / "own", CLEAR, sweep=_unpublished(tmp_path))
    said = captions(sweep_html(own, page_of(own), "", ""))
    assert said
    assert [text for text in said if "published" in text or "paper" in text] == []


def _unpublished(folder: Path) -> Sweep:
    sweep = example_sweep(folder)
    return replace(sweep, rows=tuple(replace(row, published={}, references=()) for row in sweep.rows))


def test_pages_over_all_sweeps_stand_beside_each_other_and_each_page_leads_to_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweeps = [shipped("masking"), shipped("masking", "small"), replace(shipped("masking"), settings=CHANGED)]
    tables = [build_table(sweep, {}, Records()) for sweep in sweeps]
    monkeypatch.setattr("mta_lab.report.html.index.contents", dict)  # the other sweeps are left out here
    indices = [write_index([table]).name for table in tables]
    assert indices == ["index.html", "index-small.html", "index-nano-model.heads=2,training.steps=500.html"]
    pages = [write_page(table, "", "").read_text() for table in tables]
    assert [re.findall(r'<a href="(index[^"]*)"', page) for page in pages] == [[name] for name in indices]


def test_a_users_copy_of_a_row_is_no_row_of_the_paper(tmp_path: Path) -> None:
    paper = [build_table(shipped(name), {}, Records(tmp_path)) for name in sorted(_covering())]
    own = table_of(tmp_path, CLEAR)
    assert own.sweep.file
    links = {each.sweep.name: "" for each in (*paper, own)}
    count = re.compile(r"([1-9]\d*) of \d+ rows</span>")
    assert not count.findall(index_html([*paper, own], links))
    assert count.findall(index_html([*paper, replace(own, sweep=replace(own.sweep, file=None))], links))


def _covering() -> set[str]:
    from mta_lab.sweep.ledger import contents

    return {name for item in contents().values() for name in item["sweeps"]}
