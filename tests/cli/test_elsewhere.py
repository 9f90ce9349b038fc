"""`report` and `status` say when a sweep has results under other conditions, and which."""

import re
import shlex
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from mta_lab.data import Corpus, cache
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.elsewhere import LOOKED_AT, MOST, elsewhere
from mta_lab.lab.plans import plan
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import finish

names = count(1)


def measured(sweep: str, *settings: str, scale: str = "nano", rows: int | None = None) -> None:
    """Keep made-up results of a sweep's first rows, or of all, under every seed."""
    found = load_sweep(sweep, scale=scale, settings=settings)
    chosen = {row.name for row in found.rows[:rows]}
    for run in found.runs():
        if run.row in chosen:
            finish(Records(), f"{next(names):016x}", 30.0, run.config)


def said(sweep: str, *settings: str, scale: str = "nano") -> dict[str, tuple[str, str]]:
    """The conditions that are said, each with how many runs there are, and the command."""
    lines = "\n".join(elsewhere(plan(sweep, Conditions(settings=settings, scale=scale), Display())))
    found = re.findall(r"(\d+ of \d+ runs?) (?:is|are) finished under (.*?): (mta-lab .*)", lines)
    return {under: (runs, command) for runs, under, command in found}


@pytest.mark.parametrize(
    ("settings", "scale", "conditions"),
    [
        (["training.steps=500"], "nano", "nano, training.steps=500"),
        (["training.learning_rate=1e-3", "model.heads=2"], "nano", "nano, model.heads=2, training.learning_rate=0.001"),
        (["data.path=some text"], "nano", "nano, data.path=some text"),
        (["data.mixture={news: 2}"], "nano", "nano, data.mixture.news=2.0"),
        ([], "small", "small"),
        (["training.weight_decay=0.2"], "small", "small, training.weight_decay=0.2"),
    ],
)
def test_results_under_other_conditions_are_said_with_what_shows_them(
    lab: Command, settings: list[str], scale: str, conditions: str
) -> None:
    measured("masking", *settings, scale=scale, rows=2)
    ((under, (runs, command)),) = said("masking").items()
    assert (under, runs) == (conditions, "6 of 15 runs")
    _, verb, name, *words = shlex.split(command)
    assert (verb, name) == ("report", "masking")
    shown = load_sweep(name, scale=words[-1], settings=words[:-2])
    assert [row.config for row in shown.rows] == [
        row.config for row in load_sweep("masking", scale=scale, settings=settings).rows
    ]
    assert said("masking", *settings, scale=scale) == {}


def test_report_and_status_say_it(lab: Command) -> None:
    measured("masking", "training.steps=500")
    line = "15 of 15 runs are finished under nano, training.steps=500: mta-lab report masking training.steps=500"
    assert line in lab("report", "masking").err
    assert line in " ".join(lab("status", "masking").out.split())
    assert line not in lab("report", "masking", "training.steps=500").err


def test_what_needs_a_finished_run_says_it_too(lab: Command, corpus: Corpus) -> None:
    measured("masking", "data.path=mine", "training.steps=500")
    row = load_sweep("masking", scale="nano").rows[0].name
    line = "15 of 15 runs are finished under nano, data.path=mine, training.steps=500"
    assert line in lab("kernels", "masking", row, "data.path=mine").complaint
    assert line in lab("results", "archive", "masking", "data.path=mine").complaint
    assert line in lab("why", "masking", row, "data.path=mine").out


def test_status_says_that_text_is_prepared(lab: Command) -> None:
    assert "preparing" not in lab("status").out
    with cache.lock(Path("data", "packages"), print):
        assert lab("status").out == "preparing the text in data/packages; runs start after it\n"
    assert "preparing" not in lab("status").out


def test_status_says_what_stale_means(lab: Command, corpus: Corpus) -> None:
    measured("masking", "data.path=mine")
    said = " ".join(lab("status", "masking", "data.path=mine").out.split())
    assert "stale: finished with code or text that has changed since; the sweep's --rerun-stale" in said
    assert "stale: finished" not in lab("status", "toy_task").out


def test_what_is_at_hand_is_not_said_again(lab: Command) -> None:
    assert said("masking") == {}
    measured("masking")
    assert said("masking") == {}
    assert said("masking", "training.steps=500").keys() == {"nano"}


def test_results_of_a_sweep_without_a_row_in_common_are_not_said(lab: Command) -> None:
    measured("toy_task", "training.steps=500", rows=2)
    assert said("masking") == {}


def test_the_most_come_first_and_the_rest_are_counted(lab: Command) -> None:
    for steps, rows in ((500, 1), (501, 3), (502, 2), (503, 1), (504, 1)):
        measured("masking", f"training.steps={steps}", rows=rows)
    lines = elsewhere(plan("masking", Conditions(), Display()))
    assert [re.findall(r"training.steps=(\d+):", line) for line in lines[:2]] == [["501"], ["502"]]
    assert lines[3:] == ["and some under 2 further sets of settings"]


def test_hundreds_of_conditions_load_the_sweep_a_few_times(lab: Command) -> None:
    for steps in range(500, 530):  # as the trials of a search
        measured("masking", f"training.steps={steps}", rows=1)
    found, loads = plan("masking", Conditions(), Display()), count()
    assert found.under
    lines = elsewhere(replace(found, under=lambda *of: (next(loads), found.under(*of))[1]))
    assert next(loads) <= LOOKED_AT + 1
    assert len(lines) == MOST + 2
    assert lines[-1] == f"{30 - LOOKED_AT} further sets of settings with fewer runs were not looked at"


def test_a_users_file_of_a_shipped_name_has_its_own(lab: Command) -> None:
    Path("masking.yaml").write_text(
        "base: {attention.dropout: 0.3}\nrows:\n  a: {model.heads: 1}\n  b: {model.heads: 2}\n"
    )
    measured("masking.yaml", "training.steps=500")
    ((_, (_, command)),) = said("masking.yaml").items()
    assert command == "mta-lab report masking.yaml training.steps=500 --scale nano"
    assert said("masking") == {}


def test_runs_of_a_task_with_a_list_of_components_are_no_hindrance(lab: Command) -> None:
    """Their settings are flattened to numbers of the list."""
    measured("needles")
    assert said("last_word") == {}
    measured("last_word", "training.steps=500")
    assert said("last_word").keys() == {"nano, training.steps=500"}
    measured("needles", "training.steps=500")
    assert "nano, training.steps=500" in said("needles")
