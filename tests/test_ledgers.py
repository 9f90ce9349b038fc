"""Ledgers of other papers: what rows take from them, and the tutorial that shows one."""

import math
import re
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.report import markdown
from mta_lab.report.published import published_of
from mta_lab.sweep import Sweep, load_sweep
from mta_lab.sweep.ledger import LEDGERS, entry_of
from tests.report.examples import table_of

PAGE = (Path(__file__).parents[1] / "docs" / "another_paper.md").read_text(encoding="utf-8")
SCORES = {
    "transformer": {0: 30.0, 1: 30.3, 2: 29.8},
    "half the heads": {0: 30.1, 1: 30.4, 2: 29.9},
    "half the heads, norm": {0: 29.9, 1: 30.4, 2: 29.75},
    "differential": {0: 28.0, 1: 28.2, 2: 27.85},
}


@pytest.fixture
def tutorial(tmp_path: Path) -> Path:
    """The files of the tutorial, in a folder."""
    for name, text in re.findall(r"```(?:yaml|text)\n# (\w+\.yaml)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    return tmp_path


def sweep_of(folder: Path, name: str = "differential_table6.yaml") -> Sweep:
    return load_sweep(str(folder / name), scale="nano")


def test_the_tutorials_rows_stand_beside_the_printed_values_of_the_ledger_that_ships(tutorial: Path) -> None:
    sweep = sweep_of(tutorial)
    base, *others = sweep.rows
    assert published_of(base, base, sweep.metric).value == pytest.approx(math.exp(3.087))
    deltas = [published_of(row, base, sweep.metric).delta for row in others]
    assert deltas == pytest.approx([math.expm1(loss - 3.087) for loss in (3.088, 3.086, 3.062)])
    assert [row.config.model.heads for row in sweep.rows] == [4, 2, 2, 4]


def test_a_table_cites_the_ledgers_paper_and_its_scale_and_not_ours(tutorial: Path) -> None:
    text = markdown(table_of(tutorial, SCORES, sweep=sweep_of(tutorial)))
    assert "Agreement with Differential Transformer (arXiv 2410.05258, Table 6 (4 rows)): " in text
    assert "the paper's: 1.4B parameters, 24 layers. Values are not comparable; compare signs and ranks." in text
    assert "- Table 6: printed are losses; a perplexity here is the exponential of one." in text
    assert "880M" not in text


def test_a_file_beside_the_sweep_is_a_ledger_wherever_the_command_is_typed(tutorial: Path) -> None:
    text = (tutorial / "differential_table6.yaml").read_text()
    ours = re.sub(
        "differential:table6.(differential|transformer)$", r"my_ledger.yaml:table6.\1", text, flags=re.MULTILINE
    )
    (tutorial / "own.yaml").write_text(ours)
    row = sweep_of(tutorial, "own.yaml").row("differential")
    assert row.published["perplexity"] == pytest.approx(math.exp(3.062))
    assert row.references == (f"{tutorial}/my_ledger.yaml:table6.differential",)
    found = entry_of(row.references[0])
    assert found
    assert found[0].printed_name("table6") == "Table 6"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (
            "differential:table6.transfomer",
            r"got 'differential:table6.transfomer'; did you mean 'table6.transformer'\?",
        ),
        ("diferential:table6.transformer", "no ledger is named 'diferential'; allowed: differential, or a file"),
        ("none.yaml:table6.transformer", "none.yaml: no such file"),
        ("own.yaml:table6.transformer", "own.yaml: is no ledger; allowed: tables of rows"),
    ],
)
def test_a_reference_that_leads_nowhere_is_said_in_one_line(reference: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"title: Mine\nrows: {{a: {{published: '{reference}'}}}}\n")
    with pytest.raises(UserError, match=said):
        sweep_of(tmp_path, "own.yaml")


ROWS = "t: {a: {loss: 3.0}}\n"


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        ("t: {a: {loss: abc}}", "t.a.loss: got 'abc', allowed: a number, 0 to 709"),
        ("t: {a: {loss: 1000}}", "t.a.loss: got 1000, allowed: a number, 0 to 709"),
        ("t: {a: {perplexity: 0}}", "t.a.perplexity: got 0, allowed: a number, 1 or more"),
        ("t: {a: {error_rate: 12}}", "t.a.error_rate: got 12, allowed: a number, 0 to 1"),
        ("t: {a: {loss: 3.0, std: x}}", "t.a.std: got 'x', allowed: a number, 0 or more"),
        ("t: {a: {loss: 3.0, domains: 3}}", "t.a.domains: got 3, allowed: a mapping of names to numbers"),
        ("t: {a: {loss: 3.0, domains: {books: x}}}", "t.a.domains.books: got 'x', allowed: a number$"),
        (f"{ROWS}undecided: 0.02", "undecided: got 0.02, allowed: a mapping of names to numbers"),
        (f"{ROWS}cautions: be careful", "cautions: got 'be careful', allowed: a mapping of tables to sentences"),
        (f"{ROWS}contents: {{Table 1: x}}", "contents.Table 1: got 'x', allowed: a mapping of shows and values"),
    ],
)
def test_a_ledger_with_a_wrong_value_is_refused_before_anything_is_trained(
    ledger: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(ledger)
    (tmp_path / "own.yaml").write_text("title: Mine\nrows: {a: {published: 'mine.yaml:t.a'}}\n")
    with pytest.raises(UserError, match=f"mine.yaml: {said}"):
        sweep_of(tmp_path, "own.yaml")


def test_a_ledger_without_a_scale_leaves_it_out(tutorial: Path) -> None:
    file = tutorial / "my_ledger.yaml"
    file.write_text(re.sub("^scale:.*\n", "", file.read_text(), flags=re.MULTILINE))
    rows = "{transformer: {published: 'my_ledger.yaml:table6.transformer'}}"
    (tutorial / "own.yaml").write_text(f"title: Mine\nrows: {rows}\n")
    text = markdown(table_of(tutorial, {"transformer": {0: 30.0, 1: 30.3}}, sweep=sweep_of(tutorial, "own.yaml")))
    assert "the paper's:" not in text
    assert "Values are not comparable; compare signs and ranks." in text


def test_every_ledger_that_ships_says_its_paper_and_scale() -> None:
    for file in LEDGERS.iterdir():
        found = entry_of(f"{file.name.removesuffix('.yaml')}:table6.transformer")
        assert found
        assert "arXiv" in found[0].paper
        assert found[0].scale
