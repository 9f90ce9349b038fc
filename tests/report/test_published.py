"""The values that the paper printed, which stay in columns of their own."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from components.metrics import ERROR_RATE, PERPLEXITY
from mta_lab.report.cost import COSTS
from mta_lab.report.data import document, row_document
from mta_lab.report.figures.forest import forest
from mta_lab.report.notes import notes
from mta_lab.report.page import OurColumn, PaperColumn, section
from mta_lab.report.published import Published, published_of
from mta_lab.report.sections import scores, sections
from mta_lab.sweep import Row
from mta_lab.sweep.ledger import paper_ledger
from mta_lab.theme.style import styled
from tests.report.examples import CLEAR, example_sweep, table_of, with_rows

TABLE_9 = {
    "softmax": {"parameters": 876553728, "memory_gb": 17.5, "flops_1e13": 25.0, "thousand_tokens_per_second": 54.3},
    "wide": {"parameters": 876583320, "memory_gb": 73.8, "flops_1e13": 2.6, "thousand_tokens_per_second": 5.7},
}


def rows_with(folder: Path, base: dict[str, Any], other: dict[str, Any]) -> tuple[Row, Row]:
    softmax, _, wide = example_sweep(folder).rows
    return dataclasses.replace(softmax, published=base), dataclasses.replace(wide, published=other)


def test_perplexities_differ_relatively(tmp_path: Path) -> None:
    base, row = rows_with(tmp_path, {"perplexity": 11.25}, {"perplexity": 10.91})
    found = published_of(row, base, PERPLEXITY)
    assert (found.value, found.scale) == (10.91, "relative")
    assert found.delta == pytest.approx(10.91 / 11.25 - 1)
    assert published_of(base, base, PERPLEXITY).delta is None


def test_error_rates_differ_in_points(tmp_path: Path) -> None:
    base, row = rows_with(tmp_path, {"error_rate": 0.516, "std": 0.431}, {"error_rate": 0.001, "std": 0.001})
    found = published_of(row, base, ERROR_RATE)
    assert (found.value, found.deviation, found.scale) == (0.001, 0.001, "points")
    assert found.delta == pytest.approx(-0.515)


def test_printed_differences_are_absolute(tmp_path: Path) -> None:
    base, row = rows_with(tmp_path, {"perplexity_difference": 0.0}, {"perplexity_difference": 0.02})
    found = published_of(row, base, PERPLEXITY)
    assert (found.value, found.delta, found.scale, found.scored) == (None, 0.02, "absolute", True)
    base, row = rows_with(tmp_path, {"perplexity": 11.25}, {"perplexity_difference": 0.02})
    assert published_of(row, base, PERPLEXITY).delta is None, "a difference from another row than this baseline"


def test_another_quantity_is_none_of_the_sweeps(tmp_path: Path) -> None:
    base, row = rows_with(tmp_path, {"perplexity": 11.25}, {"error_rate": 0.1})
    assert not published_of(row, base, PERPLEXITY).scored
    assert published_of(row, base, ERROR_RATE).delta is None


@pytest.mark.parametrize(
    ("reference", "base", "undecided"),
    [
        ("table5.11", "table2.transformer", True),
        ("table5.12", "table2.transformer", True),
        ("table5.13", "table2.transformer", False),
        ("table5.1", "table2.multi_token", True),
        ("table2.differential", "table2.transformer", False),
        ("section46.zero", "section46.identity", True),
        ("section46.constant 0.3", "section46.identity", False),
        ("table1.mta 8 all", "table1.transformer 8 all", True),
        ("table1.mta 5 all", "table1.transformer 5 all", False),
        ("table1.mta 5 last", "table1.transformer 5 last", False),
    ],
)
def test_differences_within_the_papers_own_noise_are_undecided(
    reference: str, base: str, undecided: bool, tmp_path: Path
) -> None:
    """0.02 between two perplexities, or the standard deviation printed with either value."""
    metric = ERROR_RATE if reference.startswith("table1") else PERPLEXITY
    rows = rows_with(tmp_path, dict(paper_ledger().entries[base]), dict(paper_ledger().entries[reference]))
    baseline, row = (dataclasses.replace(r, references=(n,)) for r, n in zip(rows, (base, reference), strict=True))
    assert published_of(row, baseline, metric).undecided is undecided
    assert published_of(baseline, baseline, metric).undecided is False


def test_std_and_runs_stand_where_they_are_printed() -> None:
    printed = {name: (row.get("std"), row.get("runs")) for name, row in paper_ledger().entries.items()}
    assert {printed[f"table2.{name}"] for name in ("transformer", "talking_heads")} == {(0.0, 2)}
    assert (printed["table2.differential"], printed["table2.multi_token"]) == ((0.02, 2), (0.01, 2))
    assert {runs for name, (_, runs) in printed.items() if name.startswith("table1.")} == {3}
    assert {found for name, found in printed.items() if name.startswith("table5")} == {(None, None)}


def test_own_values_are_undecided_within_their_own_deviation_only(tmp_path: Path) -> None:
    base, row = rows_with(tmp_path, {"perplexity": 20.0}, {"perplexity": 19.99})
    base, row = (dataclasses.replace(each, references=("a thesis",)) for each in (base, row))
    assert published_of(row, base, PERPLEXITY).undecided is False
    spread = dataclasses.replace(row, published={**row.published, "std": 0.1})
    assert published_of(spread, base, PERPLEXITY).undecided is True


def test_undecided_differences_stand_in_brackets_in_every_format(tmp_path: Path) -> None:
    changes = {"wide": {"published": dict(paper_ledger().entries["table5.12"]), "references": ("table5.12",)}}
    table = table_of(tmp_path, CLEAR, sweep=with_rows(example_sweep(tmp_path), **changes))
    line = next(line for line in scores(table).lines if line.cells[0] == "wide")
    assert line.cells[-1] == "(-0.18%)"
    assert row_document(table.rows[2])["published_undecided"] is True
    assert document(table)["agreement"]["undecided"] == 1
    assert "brackets is undecided" in " ".join(notes(table))
    assert "1 resolved row, none with a published difference beyond the paper's noise" in " ".join(notes(table))
    with styled():
        drawn = forest(table, 8.0)
    assert drawn is not None
    assert [mark.get_markerfacecolor() for mark in drawn.axes[1].lines if mark.get_marker() == "D"] == ["none"]


def test_cost_ratios_follow_from_tables_8_and_9(tmp_path: Path) -> None:
    base, row = rows_with(tmp_path, TABLE_9["softmax"], TABLE_9["wide"])
    found = published_of(row, base, PERPLEXITY).ratios
    assert set(found) == set(COSTS) - {"flops_per_token", "step_seconds"}, "the paper measured no operations"
    assert found["parameters"] == 876583320 / 876553728
    assert found["peak_memory"] == pytest.approx(73.8 / 17.5)
    assert found["training_seconds"] == pytest.approx(54.3 / 5.7)


class Shown:
    """Records what it is given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def __call__(self, half: Any) -> str:
        self.given.append(type(half).__name__)
        return ""


def test_a_column_is_given_its_half_of_a_row_and_no_more(tmp_path: Path) -> None:
    ours, paper = Shown(), Shown()
    found = section("", [OurColumn("mean", ours), PaperColumn("mean", paper)], table_of(tmp_path, CLEAR).rows)
    assert found.header == ("row", "mean", "paper: mean")
    assert (set(ours.given), set(paper.given)) == ({"Measured"}, {"Published"})


MARKED = 777.25
"""a value that no measurement has"""


@pytest.mark.parametrize("finished", [True, False])
def test_published_values_are_in_no_measured_column_or_key(finished: bool, tmp_path: Path) -> None:
    """Each published number, replaced by a striking one, shows under the paper's headings only."""
    printed = {
        "perplexity": MARKED, "domains": {"github": MARKED, "book": MARKED}, "parameters": MARKED, "memory_gb": MARKED,
    }  # fmt: skip
    plain = {"perplexity": 1.0, "parameters": 1.0, "memory_gb": 1.0, "domains": {"github": 1.0}}
    sweep = with_rows(example_sweep(tmp_path), wide={"published": printed}, softmax={"published": plain})
    table = table_of(tmp_path, CLEAR if finished else {}, sweep=sweep)
    seen = 0
    for part in sections(table):
        for line in part.lines:
            for head, cell in zip(part.header, line.cells, strict=True):
                if "777" in cell or "776" in cell:
                    assert head.startswith("paper")
                    seen += 1
    assert seen == 6  # perplexity, its delta, two costs, two domains
    for row in table.rows:
        for key, value in row_document(row).items():
            assert key.startswith("published") or str(MARKED) not in str(value)


def test_nothing_published_is_an_empty_half() -> None:
    assert not Published().scored
