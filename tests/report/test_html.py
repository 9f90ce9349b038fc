"""The pages show the table's numbers, nothing from elsewhere, and no user's text as markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mta_lab.config import in_words
from mta_lab.report import Table
from mta_lab.report.data import document
from mta_lab.report.html import index_html, sweep_html
from mta_lab.report.render import page_of
from mta_lab.report.settings import settings_of
from mta_lab.sweep import shipped_sweeps
from mta_lab.sweep.ledger import contents, ledger
from tests.report.examples import AGAIN, CLEAR, WITH_CONTROL, example_sweep, renamed, table_of

VOID = {"meta", "link", "br"}


class Read(HTMLParser):
    """A page's tables as rows of cells, its tags with attributes, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def page(table: Table) -> str:
    return sweep_html(table, page_of(table), "mta-lab sweep widths", "http://127.0.0.1:5000")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, str]:
    """A table with a failed and a pending run, and an odd name; and its page."""
    folder = tmp_path_factory.mktemp("page")
    sweep = example_sweep(folder, WITH_CONTROL)
    scores = {**CLEAR, **AGAIN, "narrow": {0: 29.9}}
    changes = {"wide": {"run_id": "abc123"}}
    table = table_of(folder, scores, {("narrow", 1): "out of <memory>"}, sweep=sweep, changes=changes)
    table = renamed(table, {"wide": "<script>alert(1)</script>"})
    return table, page(table)


def test_the_numbers_are_those_of_the_json(shown: tuple[Table, str]) -> None:
    table, text = shown
    head, *lines = Read(text).tables[0]
    assert head[0] == "row"
    for line, row in zip(lines, document(table)["rows"], strict=True):
        cells = dict(zip(head, (" ".join(cell.split()) for cell in line), strict=True))
        assert cells["row"] == row["row"]
        states = [f"{row['scores'][seed]:.2f}" if seed in row["scores"] else row["status"][seed] for seed in range(3)]
        assert cells["perplexity, by seed"] == " ".join(states)
        assert cells["mean"] == f"{row['mean']:.2f}"
        if row["delta"] is not None:
            low, high = row["interval"]
            assert cells["delta [95 %]"] == f"{row['delta']:+.2%} [{low:+.2%}, {high:+.2%}]"
        assert cells["paper: perplexity"].partition(" (sd")[0] == (
            f"{row['published']:.2f}" if row["published"] else "-"
        )


def test_mean_and_delta_stand_first_so_that_a_phone_shows_them(shown: tuple[Table, str]) -> None:
    head, *_ = Read(shown[1]).tables[0]
    assert (head[:3], head[-1]) == (["row", "mean", "delta [95 %]"], "perplexity, by seed")


def test_the_configuration_of_every_row_and_its_runs_are_on_the_page(shown: tuple[Table, str]) -> None:
    table, text = shown
    settings = settings_of(table)
    (rows,) = [lines for lines in Read(text).tables if lines[0][1] == "its own settings"]
    assert [line[0] for line in rows[1:]] == [row.name for row in table.rows]
    for name, sets in rows[1:]:
        assert [f"{key}: {in_words(value)}" in sets for key, value in settings.own[name].items()].count(False) == 0
    assert all(f"<code>{key}</code></dt>" in text for key in settings.common)
    about = {found.get("title") for _, found in Read(text).tags}
    runs = [record.fingerprint for row in table.rows for record in row.measured.records.values()]
    assert {f"seed {fingerprint[-1]}: run {fingerprint}" for fingerprint in runs} <= about


def test_nothing_is_fetched_and_nothing_runs(shown: tuple[Table, str]) -> None:
    _, text = shown
    tags = Read(text).tags
    assert not [tag for tag, _ in tags if tag in ("script", "img", "iframe", "object", "image", "base", "form")]
    assert [found["href"] for tag, found in tags if tag == "link"] == ["data:,"]
    assert not [name for _, found in tags for name in found if name.startswith("on") or name == "src"]
    assert not re.search(r"url\((?!#)|@import", text)
    assert [found for tag, found in tags if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy"]


def test_states_runs_and_origin_are_there(shown: tuple[Table, str]) -> None:
    _, text = shown
    tags = Read(text).tags
    assert [found["class"] for tag, found in tags if tag == "span"][3:6] == ["finished", "failed", "pending"]
    assert [found["href"] for tag, found in tags if tag == "a" and "/runs/" in (found["href"] or "")] == [
        "http://127.0.0.1:5000/#/runs/abc123"
    ] * 3
    for said in (
        "mta-lab sweep widths",
        "a made-up machine",
        "out of &lt;memory&gt;",
        "A/A passed",
        "content hash text",
    ):
        assert said in text
    assert text.count("<svg") == 2 * text.count("<figure")


def test_a_sweep_without_results_is_a_page_of_pending_runs(tmp_path: Path) -> None:
    text = page(table_of(tmp_path, {}))
    assert text.count('class="pending"') == 9
    assert "<svg" not in text


def test_the_index_shows_what_of_the_paper_is_covered(tmp_path: Path) -> None:
    done = table_of(tmp_path, CLEAR)
    (tmp_path / "none").mkdir()
    tables = [replace(done, sweep=replace(done.sweep, name=name, file=None)) for name in shipped_sweeps()]
    nothing = table_of(tmp_path / "none", {})
    tables[0] = replace(nothing, sweep=replace(nothing.sweep, name=tables[0].sweep.name))
    text = index_html(tables, {name: f"{name}-nano.html" for name in shipped_sweeps()})
    coverage, sweeps = Read(text).tables
    states = {line[0]: line[2] for line in coverage[1:]}
    assert list(states) == list(contents())
    assert (states["Table 5"], states["Table 2, upper half"]) == ("1 of 17 rows", "1 of 4 rows")
    assert (states["Table 3"], states["Table 8"]) == ("0 of 4 rows", "0 of 4 rows")
    assert (states["Figure 6, left"], states["Figure 5, right"]) == ("3 of 3 rows", "3 of 3 rows")
    assert "3 of 3 rows, 1 of 1 resolved sign agrees" in coverage[2][3]
    assert [line[0] for line in sweeps[1:]] == shipped_sweeps()
    assert all(f'href="{name}-nano.html"' in text for name in shipped_sweeps())


def test_what_the_paper_shows_names_shipped_sweeps() -> None:
    named = {name for item in contents().values() for name in item["sweeps"]}
    assert named <= set(shipped_sweeps())


def test_all_of_the_papers_tables_and_figures_of_results_count() -> None:
    """Ten tables, one of two halves; eight figures or halves, kernels as one; section 4.6."""
    items = list(contents())
    assert len(items) == 20
    assert {item.partition(",")[0] for item in items if item.startswith("Table")} == {
        f"Table {n}" for n in range(1, 11)
    }
    assert {shown["values"] for shown in contents().values() if "values" in shown} == set(ledger())
