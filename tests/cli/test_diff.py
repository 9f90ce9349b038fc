"""`mta-lab diff`: settings side by side, and differences of scores with intervals."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import example_record

FILE = "title: One\nbase: {data.path: mine}\nrows: {plain: {attention: softmax}, talking: {attention: talking_heads}}\n"


def train(
    file: str, scores: Sequence[float], *settings: str, row: str = "plain", commit: str = "none", text: str = "text"
) -> list[str]:
    """Keep made-up results of a row, one a seed; return their fingerprints."""
    names = []
    for run in load_sweep(file, scale="nano", settings=settings).runs():
        if run.row == row and run.seed < len(scores):
            name = fingerprint(run.config, text)
            record = example_record(name, scores[run.seed], run.config)
            Records().finish(replace(record, content_hash=text, provenance={**record.provenance, "commit": commit}))
            names.append(name)
    return names


@pytest.fixture
def one(lab: Command) -> str:
    Path("one.yaml").write_text(FILE)
    return "one.yaml"


def cells(line: str, out: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    (found,) = re.findall(rf"^\| {line} +\| (.*)\|$", out, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


def test_two_runs_are_compared_by_setting_score_and_domain(lab: Command, one: str) -> None:
    (a,), (b,) = train(one, [30.0]), train(one, [27.0], row="talking")
    out = lab("diff", a, b, "--format", "markdown").out
    assert cells("attention.name", out) == ["run", "softmax", "talking\\_heads"]
    assert cells("run", out) == ["1 and 1", "perplexity 30.00", "perplexity 27.00", "-10.00%", "-", "-"]
    assert cells("github", out) == ["29.00", "26.00", "-10.34%"]
    assert "Beside settings" not in out


def test_two_sweeps_are_compared_row_by_row_in_pairs_of_a_seed(lab: Command, one: str) -> None:
    train(one, [30.0, 31.0, 29.0])
    Path("two.yaml").write_text(FILE.replace("mine}", "mine, model.heads: 2}").replace("talking: {", "new: {"))
    train("two.yaml", [27.1, 27.9, 26.0])
    out = lab("diff", one, "two.yaml", "--format", "markdown").out
    assert cells("model.heads", out) == ["plain", "4", "2"]
    *_, change, interval, p = cells("plain", out)
    low, high = map(float, re.findall(r"[-+][\d.]+", interval))
    assert low < float(change.rstrip("%")) < high < 0
    assert high - low < 5, "pairs of a seed: its luck cancels"
    assert float(p) < 0.05
    assert "Only A has: talking." in out
    assert "Only B has: new." in out


def test_one_sweep_under_two_settings(lab: Command, one: str) -> None:
    train(one, [30.0])
    train(one, [27.0], "training.steps=2000")
    out = lab("diff", one, f"{one} training.steps=2000", "--format", "markdown").out
    assert cells("training.steps", out) == ["all", "1024", "2000"]
    assert cells("plain", out)[3] == "-10.00%"


def test_one_sweep_at_two_commits(lab: Command, one: str) -> None:
    train(one, [30.0, 30.5], commit="aaaa1111bbbb", text="old")
    train(one, [30.1, 30.4], commit="cccc2222dddd")
    out = lab("diff", f"{one}@aaaa", f"{one}@cccc", "--format", "markdown").out
    assert "No setting differs." in out
    assert "text (old and text)" in out
    assert cells("plain", out) == ["2 and 2", "perplexity 30.25", "perplexity 30.25", "-", "-", "-"]
    said = lab("diff", f"{one}@eeee", one).complaint
    assert said.endswith("commits of its runs: aaaa1111bbbb (2 runs), cccc2222dddd (2 runs)")


def test_scores_of_two_metrics_have_no_difference(lab: Command, one: str) -> None:
    (a,) = train(one, [30.0])
    Path("toy.yaml").write_text(
        "title: Toy\nrows: {plain: {task: {name: find_block, blocks: 6}, model.vocabulary: 28}}\n"
    )
    (run, *_) = load_sweep("toy.yaml", scale="nano").runs()
    name = fingerprint(run.config, "")
    made = example_record(name, 0.25, run.config)
    made = replace(made, content_hash="", quantity="error_rate", domains={"all": 0.25}, validations=[[1, 0.25]])
    Records().finish(made)
    out = lab("diff", a, name, "--format", "markdown").out
    assert cells("run", out)[1:4] == ["perplexity 30.00", "error rate 25.0%", "-"]
    assert "Scores of run cannot be compared: they differ in metric (perplexity and error rate); task.name" in out


@pytest.mark.parametrize(
    ("settings", "text", "said"),
    [
        (["model.vocabulary=300"], "of 300 tokens", "text (text and of 300 tokens)"),
        (["data.path=theirs"], "other", "text (text and other)"),
        (["data.evaluate=test"], "text", "data.evaluate (valid and test)"),
        (["training.validation_tokens=512"], "text", "training.validation_tokens ("),
    ],
)
def test_scores_over_other_text_or_tokens_have_no_difference(
    settings: list[str], text: str, said: str, lab: Command, one: str
) -> None:
    (a, *_), (b, *_) = train(one, [30.0, 31.0]), train(one, [27.0, 28.0], *settings, text=text)
    out = lab("diff", one, " ".join([one, *settings]), "--format", "markdown").out
    assert cells("plain", out)[3:] == ["-", "-", "-"]
    assert f"Scores of plain cannot be compared: they differ in {said}" in out.replace("\\", "")
    assert "by domain" not in lab("diff", a, b, "--format", "markdown").out


def test_scores_under_other_shares_of_the_training_text_have_a_difference(lab: Command, one: str) -> None:
    train(one, [30.0])
    train(one, [27.0], "data.mixture={github: 2, book: 1}")
    out = lab("diff", one, f"{one} 'data.mixture={{github: 2, book: 1}}'", "--format", "markdown").out
    assert cells("plain", out)[3] == "-10.00%"


@pytest.mark.parametrize("name", ["tom's.yaml", "", " "])
def test_a_name_of_no_sweep_is_said_in_one_line(name: str, lab: Command, one: str) -> None:
    assert lab("diff", name, one).complaint.startswith(f"no sweep or file named '{name}'")


def test_a_run_and_a_sweep_are_no_pair(lab: Command, one: str) -> None:
    (name,) = train(one, [30.0])
    assert lab("diff", name, one).complaint == (
        f"{name}: is one run, and the other is a sweep; name two runs or two sweeps"
    )
