"""Pages of Markdown hold what written tables say, and nothing else."""

import json
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.report.fill import BLOCK, END, fill, outcome
from mta_lab.report.markdown import escaped
from mta_lab.sweep.files import SHIPPED

ROOT = Path(__file__).parents[2]
RESULTS = Path(str(SHIPPED)) / "results"
TABLE = RESULTS / "complexity-nano.json"


def page(at: Path, block: str) -> Path:
    """Write a page with text around one block, and return it."""
    file = at / "page.md"
    file.write_text(f"before\n\n<!-- results: {block} -->\nan old number\n{END}\n\nafter\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["results.md", "reproduces.md"])
def test_a_page_of_results_is_what_the_written_tables_say(name: str, tmp_path: Path) -> None:
    """`mta-lab results fill docs/results.md docs/reproduces.md` makes it so."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    copy = tmp_path / name
    copy.write_text(text.replace(": ../sweeps/results", f": {RESULTS}"), encoding="utf-8")
    assert not fill(copy), f"`mta-lab results fill docs/{name}` writes it anew"


def test_the_page_of_results_has_every_written_table() -> None:
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    patterns = [Path(block[3]).name for block in BLOCK.finditer(text)]
    tables = sorted(file.name for file in RESULTS.glob("*.json"))
    assert [name for name in tables if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_a_block_gets_the_first_table_of_its_file_and_keeps_the_text_around_it(tmp_path: Path) -> None:
    file = page(tmp_path, str(TABLE))
    assert fill(file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n\n<!-- results: ")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "an old number" not in text
    assert "| row | perplexity, by seed |" in text
    assert "| row | params |" not in text
    assert not fill(file)


def test_a_block_gets_the_sections_that_it_names(tmp_path: Path) -> None:
    file = page(tmp_path, f"{TABLE} | Cost over the baseline's")
    fill(file)
    text = file.read_text(encoding="utf-8")
    assert "**Cost over the baseline's, beside the paper's**" in text
    assert "**Perplexity**" not in text


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("missing.json", "missing.json: cannot be read"),
        (f"{TABLE} | Losses", "has no section 'Losses'; it has 'Perplexity', "),
    ],
)
def test_a_block_without_a_table_is_refused_and_the_page_left_alone(tmp_path: Path, block: str, said: str) -> None:
    file = page(tmp_path, block)
    with pytest.raises(UserError, match=said):
        fill(file)
    assert "an old number" in file.read_text(encoding="utf-8")


def write_table(at: Path, name: str, *sections: str) -> None:
    """Write what a report may have written: a table's JSON and Markdown."""
    (at / f"{name}.json").write_text(TABLE.read_text())
    drawn = [
        f"### {name}",
        *(f"**{escaped(title)}**\n\n| row |\n|:--|\n| {escaped(title)} |" for title in sections),
        "- Noise: 1\n- Looks: 2",
    ]
    (at / f"{name}.md").write_text("\n\n".join(drawn) + "\n")


def test_a_block_of_many_tables_has_their_sections_and_notes_of_these_names_alone(tmp_path: Path) -> None:
    write_table(tmp_path, "mine-nano", "Scores", "Effects by factor")
    write_table(tmp_path, "mine-micro", "Scores")
    file = page(tmp_path, "mine-*.json | Effects | Looks:")
    fill(file)
    text = file.read_text(encoding="utf-8")
    lacks, has = text.index("*mine-micro*"), text.index("*mine-nano*")
    assert "This table has no section *Effects*." in text[lacks:has]
    assert "**Effects by factor**" in text[has:]
    assert text.count("- Looks: 2") == 2
    assert "Scores" not in text
    assert "Noise" not in text


@pytest.mark.parametrize("path", ["mine-nano.json", "mine-*.json"])
def test_a_title_is_found_where_markdown_escapes_it(path: str, tmp_path: Path) -> None:
    write_table(tmp_path, "mine-nano", "Scores by training.learning_rate; * is the row's")
    file = page(tmp_path, f"{path} | Scores by training.learning_rate; *")
    fill(file)
    text = file.read_text(encoding="utf-8")
    assert r"**Scores by training.learning\_rate; \* is the row's**" in text
    assert "has no section" not in text


def test_a_block_of_many_tables_without_titles_has_each_as_a_block_of_its_own(tmp_path: Path) -> None:
    write_table(tmp_path, "mine-nano", "Scores", "Effects by factor")
    one, many = page(tmp_path, "mine-nano.json").read_text(), "mine-*.json"
    written = []
    for block in ("mine-nano.json", many):
        file = page(tmp_path, block)
        fill(file)
        written.append(file.read_text().replace(block, "mine-nano.json"))
    assert written[0] == written[1] != one


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("norm_at_start-*.json", "`norm_at_start` is written yet; `mta-lab sweep norm_at_start` trains it."),
        ("a-micro*.json | Scores", "`a` at `micro` is written yet; `mta-lab sweep a --scale micro` trains it."),
    ],
)
def test_a_block_of_many_tables_says_where_there_is_none(block: str, said: str, tmp_path: Path) -> None:
    file = page(tmp_path, block)
    fill(file)
    assert f"No table of {said}" in file.read_text()


@pytest.mark.parametrize("text", ["no block", f"<!-- results: {TABLE} -->\nno end\n"])
def test_a_page_without_a_whole_block_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.md"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="no block of results"):
        fill(file)


def test_the_outcome_names_resolved_rows_by_size_and_no_others() -> None:
    table = json.loads((RESULTS / "kernel_sizes-nano.json").read_text(encoding="utf-8"))
    said = outcome(table)
    rows = {row["row"]: row for row in table["rows"] if row["role"] == "row"}
    resolved = sorted((row["delta"], name) for name, row in rows.items() if row["resolved"])
    assert resolved
    assert [said.index(name) for _, name in resolved] == sorted(said.index(name) for _, name in resolved)
    assert not [name for name, row in rows.items() if not row["resolved"] and f" {name} " in said]
    assert said.startswith(f"Resolved: {len(resolved)} of {len(rows)}: ")


def test_the_outcome_names_equal_rows() -> None:
    rows = [
        {"row": "a", "role": "row", "delta": 0.001, "resolved": False, "verdict": "equal", "baseline": "b"},
        {"row": "c", "role": "row", "delta": 0.05, "resolved": False, "verdict": "unresolved", "baseline": "b"},
    ]
    assert outcome({"rows": rows, "delta_unit": "relative"}) == "Resolved: none of 2. Equal: a."
