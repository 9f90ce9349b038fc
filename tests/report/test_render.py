"""The formats show the same numbers, what is missing, and how sure it is."""

import csv
import dataclasses
import json
import re
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mta_lab.config import flatten
from mta_lab.report import FORMATS, Table, build_table, render
from mta_lab.report.data import row_document
from mta_lab.report.notes import badge
from mta_lab.report.render import page_of
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Records
from tests.report.examples import (
    AGAIN,
    CLEAR,
    IMPLEMENTATIONS,
    ROWS,
    UNCLEAR,
    WITH_CONTROL,
    example_sweep,
    finish,
    renamed,
    scored_by,
    table_of,
    with_rows,
)
from tests.shipped import shipped

WIDTH = 120  # characters: what three seeds need


def shown(table: Table, form: str, width: int = 250) -> str:
    console = Console(file=StringIO(), width=width)
    render(table, form, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def document(table: Table) -> dict[str, Any]:
    """The JSON form, strictly read: NaN and Infinity are no JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads(shown(table, "json", width=40), parse_constant=refuse)
    return found


def lines_of(text: str, row: str) -> list[str]:
    """The lines of the tables that start with `row`: scores, cost and so on."""
    return [line for line in text.splitlines() if line.strip(" |│").startswith(row + " ")]


@pytest.mark.parametrize("form", ["rich", "markdown", "latex"])
def test_every_number_is_in_its_rows_lines(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    text = shown(table, form).replace(r"\%", "%").replace("$-$", "-")
    assert "Kernel widths" in text
    assert "nano" in text
    for row in table.rows:
        ours, (scores, *cost) = row.measured, lines_of(text, row.name)
        numbers = [f"{ours.mean:.2f}", " ".join(f"{value:.2f}" for value in ours.scores.values())]
        if ours.contrast:
            numbers.append(f"{ours.contrast.delta:+.2%} [{ours.contrast.low:+.2%}, {ours.contrast.high:+.2%}]")
        if row.published.value:
            numbers.append(f"{row.published.value:.2f}")
        assert [number for number in numbers if number not in scores] == []
        costs = [f"{ours.cost.parameters:,}", "9.77 ms", "1,000", "10 s", "2 MB", "3k"]
        assert [number for number in costs if number not in " ".join(cost)] == []


def test_no_word_or_number_is_broken_in_a_narrow_terminal(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    wide, narrow = (set(re.findall(r"[\w.,%/+]+", shown(table, "rich", width=width))) for width in (300, 80))
    assert wide - narrow == set()


@pytest.mark.parametrize("form", ["rich", "markdown", "latex"])
def test_each_row_has_a_verdict(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, **AGAIN}, sweep=example_sweep(tmp_path, WITH_CONTROL))
    text = shown(table, form)
    softmax, narrow, wide, again = (lines_of(text, row)[0] for row in (*ROWS, "again"))
    assert "baseline" in softmax
    assert "unresolved" in narrow
    assert "better" in wide
    assert "unresolved" not in wide
    assert "A/A passed" in again


def test_only_resolved_rows_are_bold_and_unresolved_ones_dim(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=WIDTH, force_terminal=True, color_system="standard")
    render(table_of(tmp_path, {**CLEAR, **UNCLEAR}), "rich", console)
    assert isinstance(console.file, StringIO)
    lines = [line for line in console.file.getvalue().splitlines() if "%" in line or "baseline" in line]
    style = {row: next(line for line in lines if row in line).split(row)[0] for row in ROWS}
    assert "\x1b[1m" in style["wide"]
    assert "\x1b[2m" in style["narrow"]
    assert "\x1b[" not in style["softmax"]


@pytest.mark.parametrize("form", ["rich", "markdown", "latex"])
def test_pending_and_failed_runs_are_told_apart(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, "wide": {0: 28.0}}, {("wide", 1): "loss is nan at step 7"})
    text = shown(table, form)
    line = lines_of(text, "wide")[0]
    assert (line.count("failed"), line.count("pending")) == (1, 1)
    assert "1 of 3 seeds" in line
    assert "resolved" not in line
    assert "7 of 9 runs finished" in text
    assert "wide seed 1: loss is nan at step 7; traceback in" in text


@pytest.mark.parametrize("form", ["rich", "markdown", "latex"])
def test_missing_seed_of_the_baseline_leaves_no_verdict(form: str, tmp_path: Path) -> None:
    text = shown(table_of(tmp_path, {**CLEAR, "softmax": {0: 30.0, 1: 30.3}}), form)
    assert "2 of 3 seeds" in lines_of(text, "softmax")[0]
    for row in ("narrow", "wide"):
        assert "baseline unfinished" in lines_of(text, row)[0]
        assert "resolved" not in lines_of(text, row)[0]


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_nothing_measured_is_pending(form: str, tmp_path: Path) -> None:
    text = shown(table_of(tmp_path, {}), form)
    for row, published in zip(ROWS, ("11.25", None, "11.13"), strict=True):
        line = lines_of(text, row)[0]
        assert line.count("pending") == 3
        assert line.count("11.") == (1 if published else 0)
    assert "0 of 9 runs finished" in text


def test_rows_of_three_seeds_are_lines_at_the_usual_width(tmp_path: Path) -> None:
    """Nothing but a long name wraps, and nothing is cut."""
    table = renamed(table_of(tmp_path, CLEAR), {"narrow": "a name of twenty two c"})
    wide, normal = (shown(table, "rich", width).split("Scale nano")[0] for width in (250, WIDTH))
    assert sorted(wide.replace("─", "").split()) == sorted(normal.replace("─", "").split())
    assert max(map(len, normal.splitlines())) <= WIDTH
    assert len(lines_of(normal, "a name of twenty two c")) >= 2


@pytest.mark.parametrize("width", [60, 80, 100])
def test_narrow_terminals_wrap_and_cut_nothing(width: int, tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    wide, narrow = ("".join(shown(table, "rich", size).split("github")[0].split()) for size in (250, width))
    assert "…" not in narrow
    assert Counter(wide.replace("─", "")) <= Counter(narrow)  # names stand again before each group of columns


def test_several_baselines_are_named_in_their_rows(tmp_path: Path) -> None:
    sweep = with_rows(example_sweep(tmp_path), narrow={"baseline": "narrow"}, wide={"baseline": "narrow"})
    text = shown(table_of(tmp_path, CLEAR, sweep=sweep), "markdown")
    assert "| against |" in text
    assert "| narrow |" in lines_of(text, "wide")[0]


def test_error_rates_are_percentages_with_intervals(tmp_path: Path) -> None:
    sweep = scored_by(example_sweep(tmp_path), "error_rate")
    sweep = with_rows(sweep, softmax={"published": {"error_rate": 0.516, "std": 0.431}})
    scores = {"softmax": {0: 0.777, 1: 0.753, 2: 0.019}, "wide": {0: 0.0, 1: 0.0, 2: 0.002}}
    softmax, _, wide = (lines_of(shown(table_of(tmp_path, scores, sweep=sweep), "markdown"), row)[0] for row in ROWS)
    assert "| 77.7 75.3 1.9 | 51.6 [5.0, 95.6] |" in softmax
    assert "51.6 (sd 43.1)" in softmax
    assert "| 0.0 0.0 0.2 |" in wide
    assert "| -51.6 [" in wide
    assert "unresolved" in wide


def test_domains_of_ours_and_the_papers_are_two_tables(tmp_path: Path) -> None:
    printed = {"perplexity": 10.9, "domains": {"github": 4.12}}
    sweep = with_rows(example_sweep(tmp_path), wide={"published": printed})
    text = shown(table_of(tmp_path, CLEAR, sweep=sweep), "markdown")
    assert "by domain**" in text
    assert "by domain, as printed in the paper**" in text
    assert "| paper: github |" in text
    assert any("4.28" in line for line in lines_of(text, "softmax"))
    alone = table_of(tmp_path / "plain", CLEAR, sweep=example_sweep(tmp_path))
    assert "by domain" not in shown(alone, "markdown")


def test_notes_say_what_computed_the_attention(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"softmax": {0: 30.0, 1: 30.2}, "wide": {0: 28.0}})
    assert [row.measured.implementation for row in table.rows] == ["sdpa", "", "eager + sdpa"]
    assert "Attention computed by sdpa; by eager + sdpa in wide." in shown(table, "rich")
    records = Records(tmp_path / "results")
    finish(records, "softmax1", 30.2, table.sweep.rows[0].config, "own")
    names = {(run.row, run.seed): f"{run.row}{run.seed}" for run in table.sweep.runs()}
    assert build_table(table.sweep, names, records).rows[0].measured.implementation == "own, sdpa"


def test_markdown_tables_have_equal_rows(tmp_path: Path) -> None:
    table = renamed(table_of(tmp_path, CLEAR), {"wide": "a | b"})
    blocks = [block.splitlines() for block in shown(table, "markdown").split("\n\n") if block.startswith("|")]
    assert [len(block) for block in blocks] == [5, 4, 5, 5], "scores, along training, cost counted and measured"
    for block in blocks:
        assert len({line.replace(r"\|", "").count("|") for line in block}) == 1


def test_only_tested_differences_stand_out(tmp_path: Path) -> None:
    """Costs and deltas at equal operations are not corrected for their number: none is bold."""
    first, *others = page_of(table_of(tmp_path, {**CLEAR, **UNCLEAR})).sections
    assert [line.tone for line in first.lines] == ["plain", "unresolved", "resolved"]
    assert any("equal FLOPs" in name for section in others for name in section.header)
    assert {line.tone for section in others for line in section.lines} == {"plain"}


@pytest.mark.parametrize(
    ("name", "scale", "says"),
    [
        ("components", "nano", "Values are not comparable"),
        ("components", "paper-300m", "Values are not comparable"),
        ("components", "paper-880m", "Parameters are comparable with Table 8's. Scores are on other text and are not"),
        ("toy_task", "nano", "Values are not comparable"),
        ("toy_task", "paper-880m", "Error rates are comparable"),
    ],
)
def test_values_are_called_comparable_where_they_are(name: str, scale: str, says: str, tmp_path: Path) -> None:
    assert says in badge(table_of(tmp_path, {}, sweep=shipped(name, scale)))


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_reader_is_warned_and_told_where_it_was_measured(form: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, **AGAIN}, sweep=example_sweep(tmp_path, WITH_CONTROL))
    text = " ".join(shown(table, form).split())
    for said in (
        "880M parameters, 105B tokens, 120 a parameter. Values are not comparable",
        "1.05M training tokens",
        "a made-up machine",
        "Holm's correction over 3 rows",
        "4 degrees of freedom",
        "A/A row again: softmax again, on a random stream of its own, so that it is tested unpaired and with its own "
        "noise: passed",
        "1 of 1 resolved row agrees in sign",
        "2 of 2 published rows finished",
        "has not decayed",
    ):
        assert said in text


def test_json_holds_the_tables_numbers(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    found = document(table)
    assert (found["sweep"], found["scale"], found["baselines"]) == ("widths", "nano", ["softmax"])
    assert (found["metric"], found["delta_unit"], found["seeds"]) == ("perplexity", "relative", [0, 1, 2])
    noise = table.comparison.noise["softmax"]
    assert found["noise"] == {
        "softmax": {
            "deviation": noise.deviation,
            "degrees_of_freedom": 4,
            "prior_degrees_of_freedom": noise.prior,
            "rows": list(noise.rows),
        }
    }
    assert found["looks"] == {"seeds": [3], "levels": [pytest.approx(0.05)], "used": 1}
    assert (found["equal_within"], found["effect"]) == (0.01, 0.02)
    assert found["detection_limit"] in [row["detection_limit"] for row in found["rows"][1:]]
    assert found["coverage"] == {"published": 2, "finished": 2}
    assert (found["agreement"]["same_sign"], found["agreement"]["resolved"]) == (1, 1)
    for written, row in zip(found["rows"], table.rows, strict=True):
        ours = row.measured
        assert written["row"] == row.name
        assert written["scores"] == {str(seed): value for seed, value in ours.scores.items()}
        assert written["status"] == dict.fromkeys("012", "finished")
        assert (written["mean"], written["domains"]) == (ours.mean, ours.domains)
        assert (written["parameters"], written["peak_memory"]) == (ours.cost.parameters, 2_000_000)
        assert written["published"] == row.published.value
        assert written["references"] == list(row.published.references)
        assert written["impl"] == " + ".join(IMPLEMENTATIONS[row.name])
        assert written["resolved"] is ours.resolved
        assert written["verdict"] == {"softmax": None, "narrow": "equal", "wide": "better"}[row.name]
        if ours.contrast:
            assert written["detection_limit"] == ours.contrast.limit
            assert written["power"] == ours.contrast.power
            assert written["seeds_needed"] == ours.contrast.seeds_needed
            assert written["delta"] == ours.contrast.delta
            assert written["interval"] == [ours.contrast.low, ours.contrast.high]
            assert written["p_holm"] == ours.p_holm


def test_json_without_results_has_published_values_only(tmp_path: Path) -> None:
    found = document(table_of(tmp_path, {}, {("wide", 0): "killed"}))
    assert found["noise"] == {}
    measured = ("mean", "delta", "interval", "p_holm", "tokens_per_second", "impl", "seeds_needed", "delta_equal_flops")
    for row in found["rows"]:
        assert [row[key] for key in measured] == [None] * len(measured)
        assert (row["scores"], row["domains"], row["resolved"]) == ({}, {}, False)
    assert [row["published"] for row in found["rows"]] == [11.25, None, 11.13]
    assert found["rows"][2]["failed"] == {"0": "killed"}
    assert found["rows"][2]["status"] == {"0": "failed", "1": "pending", "2": "pending"}


@pytest.mark.parametrize("quantity", ["perplexity", "error_rate"])
def test_json_of_equal_results_is_json(quantity: str, tmp_path: Path) -> None:
    sweep = scored_by(example_sweep(tmp_path), quantity)
    document(table_of(tmp_path, {row: {0: 0.5, 1: 0.5, 2: 0.5} for row in ROWS}, sweep=sweep))


def test_attempts_that_failed_are_told_with_how_it_ended(tmp_path: Path) -> None:
    killed = Attempt(kind="killed", reason="the worker process died", ended="2026-01-02T03:04:05+00:00", step=7)
    refused = Attempt(kind="out_of_memory", reason="no memory", ended="2026-01-02T03:05:05+00:00", step=None)
    table = table_of(tmp_path, {"wide": {1: 28.0}}, changes={"wide": {"attempts": (killed, refused)}})
    for form in ("rich", "markdown"):
        assert "wide seed 1: finished at attempt 3; earlier attempts: killed, out of memory." in shown(table, form)
    (row,) = (row for row in document(table)["rows"] if row["row"] == "wide")
    assert row["attempts"] == {"1": [dataclasses.asdict(killed), dataclasses.asdict(refused)]}
    lines = csv.DictReader(StringIO(shown(table, "csv", width=40)))
    assert [line["attempts"] for line in lines][-3:] == ["", "killed out_of_memory", ""]


def test_csv_has_a_line_for_each_row_and_seed(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, "wide": {0: 28.0}}, {("wide", 1): 'a, "b"'})
    lines = list(csv.DictReader(StringIO(shown(table, "csv", width=40))))
    assert [(line["row"], line["seed"]) for line in lines] == [(row, str(seed)) for row in ROWS for seed in range(3)]
    states = [(line["status"], line["score"], line["failed"]) for line in lines[6:]]
    assert states == [("finished", "28.0", ""), ("failed", "", 'a, "b"'), ("pending", "", "")]
    narrow = row_document(table.rows[1])
    for line in lines[3:6]:
        assert float(line["row.delta"]) == narrow["delta"]
        assert float(line["row.interval_high"]) == narrow["interval"][1]
        assert float(line["row.domains.github"]) == narrow["domains"]["github"]
        assert line["published"] == ""
    assert lines[0]["published"] == "11.25"
    assert lines[0]["references"] == "table2.transformer"


def test_the_papers_scale_stands_only_under_what_the_paper_printed(tmp_path: Path) -> None:
    ours = shown(table_of(tmp_path, CLEAR), "markdown")
    assert "the paper's: 880M parameters" in ours
    (tmp_path / "mine").mkdir()
    mine = example_sweep(tmp_path / "mine", "rows: {a: {attention: softmax}, b: {attention: talking_heads}}\n")
    for quantity in ("perplexity", "error_rate"):
        text = shown(table_of(tmp_path / quantity, {}, sweep=scored_by(mine, quantity)), "markdown")
        assert "the paper" not in text
        assert "Scale nano: " in text


def test_csv_has_each_runs_own_values_beside_its_rows(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, "wide": {0: 28.0}}, changes={"wide": {"run_id": "abc", "seconds": 7.5}})
    lines = list(csv.DictReader(StringIO(shown(table, "csv", width=40))))
    for row in table.rows:
        of_row = {int(line["seed"]): line for line in lines if line["row"] == row.name}
        for seed, record in row.measured.records.items():
            line = of_row[seed]
            assert (line["fingerprint"], line["mlflow_run_id"]) == (record.fingerprint, record.run_id)
            assert float(line["score"]) == record.score
            assert float(line["seconds"]) == record.seconds
            assert {name: float(line[f"domains.{name}"]) for name in record.domains} == record.domains
            assert float(line["row.mean"]) == row.measured.mean
    assert [line["fingerprint"] for line in lines[7:]] == ["", ""]


def test_json_and_csv_hold_the_whole_configuration_of_every_row(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    found = document(table)
    lines = list(csv.DictReader(StringIO(shown(table, "csv", width=40))))
    for row, shown_row in zip(table.sweep.rows, found["rows"], strict=True):
        whole = {key: value for key, value in flatten(row.config).items() if key != "seed"}
        assert {**found["settings"], **shown_row["settings"]} == whole
        assert not found["settings"].keys() & shown_row["settings"].keys()
        line = next(line for line in lines if line["row"] == row.name)
        assert {key.removeprefix("settings.") for key, value in line.items() if key.startswith("settings.") and value} \
            >= {key for key, value in whole.items() if value != ""}  # fmt: skip
    assert "attention.pre_softmax.0.kernel" in found["rows"][1]["settings"]
    assert "training.steps" in found["settings"]
    assert [run["fingerprint"] for run in found["rows"][2]["runs"].values()] == ["wide0", "wide1", "wide2"]


@pytest.mark.parametrize("form", FORMATS)
def test_brackets_are_no_markup(form: str, tmp_path: Path) -> None:
    failed = table_of(tmp_path, {"softmax": {0: 30.0}}, {("wide", 0): "got [red] [/none]"})
    assert "got [red] [/none]" in shown(failed, form)


@pytest.mark.parametrize("form", FORMATS)
def test_odd_row_names_are_shown_as_they_are(form: str, tmp_path: Path) -> None:
    table = renamed(table_of(tmp_path, {"softmax": {0: 30.0}}), {"wide": "[/x] [red]é[/red]"})
    assert "[/x] [red]é[/red]" in shown(table, form).replace("\\u00e9", "é")


@pytest.mark.parametrize("form", FORMATS)
def test_one_run_is_a_table_with_its_domains(form: str, tmp_path: Path) -> None:
    sweep = example_sweep(tmp_path)
    sweep = dataclasses.replace(sweep, rows=sweep.rows[:1], seeds=(0,))
    text = shown(table_of(tmp_path, {"softmax": {0: 30.0}}, sweep=sweep), form)
    assert "github" in text
    assert "29.0" in text
    assert ("verdict" in text) == (form in ("json", "csv"))
