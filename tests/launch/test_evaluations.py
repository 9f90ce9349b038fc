"""A run is scored by any number of evaluations; rows are compared by its task's own."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from components.metrics import METRICS, Scores
from mta_lab.report.data import document
from mta_lab.report.run_lines import as_csv
from mta_lab.report.sections import sections
from mta_lab.results.records import Record, Records
from mta_lab.sweep import load_sweep
from mta_lab.tracking.written import curves
from mta_lab.training.run import train
from tests.report.examples import CLEAR, example_sweep, table_of

ACCURACY = Scores(domains={"github": 0.25, "wikipedia": 0.75}, scored={"github": 500, "wikipedia": 500})


def example_records(folder: Path) -> list[Record]:
    table = table_of(folder, CLEAR, changes={"wide": {"further": {"token_accuracy": ACCURACY}}})
    return [record for row in table.rows for record in row.measured.records.values()]


def test_a_run_is_scored_by_each_evaluation_at_each_validation(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(
        "title: Toy\nbase: {model.vocabulary: 28, task: {name: find_block, letters: 2, blocks: 4, held_out: 10}, "
        "evaluations: [token_accuracy], training: {steps: 4, validations: 2, warmup_steps: 1, batch_size: 4}}\n"
        "baseline: softmax\nseeds: 1\nrows: {softmax: {attention: softmax}}\n"
    )
    config = load_sweep(str(file), scale="nano").rows[0].config
    found = train(config, None)
    plain = train(replace(config, evaluations=()), None)
    for validation, alone in zip(found.validations, plain.validations, strict=True):
        assert list(validation.evaluations) == ["error_rate", "token_accuracy"]
        assert validation.score == alone.score, "scoring by more changes the training"
        assert validation.further["token_accuracy"].scored == {"find_block": 20}, "10 answers of two letters"
        assert 0.0 <= validation.further["token_accuracy"].mean <= 1.0


def test_a_record_of_an_earlier_version_has_one_evaluation(tmp_path: Path) -> None:
    first, *_, last = example_records(tmp_path)
    assert list(first.evaluations) == ["perplexity"]
    assert first.evaluations["perplexity"].mean == pytest.approx(first.score)
    assert list(last.evaluations) == ["perplexity", "token_accuracy"]


def test_a_record_keeps_what_all_evaluations_came_to(tmp_path: Path) -> None:
    last = example_records(tmp_path)[-1]
    assert Records(tmp_path / "results").finished(last.fingerprint) == last
    assert last.further["token_accuracy"] == ACCURACY


def test_a_score_that_its_metric_cannot_have_is_a_fault(tmp_path: Path) -> None:
    last = example_records(tmp_path)[-1]
    wrong = replace(last, further={"token_accuracy": Scores(domains={"github": 1.5})})
    assert wrong.fault() == "further.token_accuracy.github: got 1.5, allowed for token_accuracy: 0 to 1"
    assert not replace(last, further={"a_users": ACCURACY}).fault(), "its component need not be loaded"


def test_table_json_csv_and_mlflow_carry_them(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR, changes={"wide": {"further": {"token_accuracy": ACCURACY}}})
    (shown,) = [one for one in sections(table) if "Other evaluations" in one.title]
    heading = METRICS["token_accuracy"].heading
    assert heading in shown.header
    assert [line.cells[-1] for line in shown.lines] == ["-", "-", "50.0"]
    (row,) = [row for row in document(table)["rows"] if row["row"] == "wide"]
    assert row["further"] == {"token_accuracy": fmean([0.25, 0.75])}
    assert {"further.token_accuracy", "row.further.token_accuracy"} <= {*as_csv(table).splitlines()[0].split(",")}
    metrics = {metric.key: metric.value for metric in curves(example_records(tmp_path)[-1], 0)}
    assert (metrics["val/token_accuracy"], metrics["val/token_accuracy/github"]) == (0.5, 0.25)


def test_a_table_without_further_evaluations_has_no_section_of_them(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR, sweep=example_sweep(tmp_path))
    assert not [one for one in sections(table) if "Other evaluations" in one.title]
