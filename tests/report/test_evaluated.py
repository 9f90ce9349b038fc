"""Results by questions in tables: means over seeds, intervals by hand, floors, notes, JSON."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from components.evaluations.babilong import BY_LIKELIHOOD
from components.evaluations.last_word import PERPLEXITY
from components.evaluations.lm_eval import ACCURACY
from components.evaluations.needles import FOUND
from mta_lab.report.data import as_json, document
from mta_lab.report.evaluated import evaluated_sections, mean_of, over_seeds
from mta_lab.report.figures import figures
from mta_lab.report.render import markdown
from mta_lab.report.run_lines import as_csv
from mta_lab.report.stale import changed_since_written
from mta_lab.report.table import Table
from mta_lab.results.evaluated import Evaluated, GroupScores, TaskFacts
from mta_lab.stats.proportions import Rates, interval
from mta_lab.sweep import load_sweep
from mta_lab.theme.style import styled
from tests.report.examples import CLEAR, GROUPS, asked, shares, table_of


def asked_table(folder: Path, **fingerprints: Evaluated) -> Table:
    """Return the example table, in which one row has been asked."""
    return table_of(folder, CLEAR, changes={"wide": {"evaluated": fingerprints}})


def test_many_groups_are_a_table_for_each_first_part_with_floors_below(tmp_path: Path) -> None:
    two, four = evaluated_sections(asked_table(tmp_path, aaaa=asked(0.5)))
    asks = "needles (samples 100): needle accuracy, %, up to 100 questions each, not tested"
    assert (two.title, four.title) == (f"{asks}; 2 needles", f"{asks}; 4 needles")
    assert two.header == ("row", "seeds", "mean", "0 %", "25 %", "50 %", "75 %", "100 %")
    wide, floor = two.lines
    assert wide.cells[:3] == ("wide", "3 of 3", "50.0")
    assert floor.cells == ("floor: any number at random", "-", *["11.1"] * 6)


def test_rows_that_were_not_asked_are_left_out_and_the_notes_are_told(tmp_path: Path) -> None:
    text = markdown(asked_table(tmp_path, aaaa=asked(0.5)))
    assert text.count("| wide | 3 of 3 |") == 2
    assert "- needles (samples 100): 6 needles and a question need 156 tokens, not 128." in text
    assert "a score at its floor shows no ability." in text
    assert "Questions:" not in markdown(table_of(tmp_path, CLEAR))


def by_harness(**tasks: TaskFacts) -> Evaluated:
    """Return what a harness found of tasks, each at 50 % and with an error of 5 points."""
    by = replace(shares(0.5, groups=tuple(tasks)), error=dict.fromkeys(tasks, 0.05))
    found = {"metrics": {ACCURACY.name: by}, "floors": {}, "tasks": tasks, "harness": "lm_eval 0.4.13"}
    return replace(asked(0.5), name="lm_eval", settings={"tasks": [*tasks], "limit": 100}, **found)


def test_tasks_of_a_harness_stand_in_parts_with_shots_versions_and_errors_below(tmp_path: Path) -> None:
    names = ("boolq", "piqa", "siqa", "hellaswag", "winogrande", "arc", "obqa", "mmlu")
    found = by_harness(**{name: TaskFacts(shots=5 * (name == "mmlu"), version="1.0") for name in names})
    table = asked_table(tmp_path, aaaa=found)
    first, second, facts = evaluated_sections(table)
    asks = "lm_eval (limit 100): task accuracy, %, up to 100 questions each, not tested"
    assert (first.title, second.title) == (f"{asks}; boolq to hellaswag", f"{asks}; winogrande to mmlu")
    assert first.header[2:] == ("mean", *names[:4])
    assert facts.title == "lm_eval (limit 100): as lm_eval 0.4.13 asked"
    assert facts.header == ("task", "shots", "version", "questions", "standard error of one run, %")
    assert [line.cells for line in facts.lines][::7] == [
        ("boolq", "0", "1.0", "100", "5.0"),
        ("mmlu", "5", "1.0", "100", "5.0"),
    ]
    (run,) = (row for row in document(table)["rows"] if row["row"] == "wide")
    (told,) = next(iter(run["runs"].values()))["evaluated"].values()
    assert told["metrics"][ACCURACY.name]["boolq"]["error"] == 0.05
    assert (told["harness"], told["tasks"]["mmlu"]) == ("lm_eval 0.4.13", {"shots": 5, "version": "1.0"})


def test_other_tasks_of_a_harness_are_other_results(tmp_path: Path) -> None:
    one, other = (by_harness(**{name: TaskFacts(shots=0, version="1")}) for name in ("boolq", "piqa"))
    sections = evaluated_sections(asked_table(tmp_path, aaaa=one, bbbb=other))
    assert [section.header[-1] for section in sections[::2]] == ["boolq", "piqa"]


def test_of_two_results_of_the_same_settings_the_newest_is_shown(tmp_path: Path) -> None:
    """Another fingerprint of the same settings is of other code or text."""
    table = asked_table(tmp_path, bbbb=asked(0.9), aaaa=asked(0.1, finished="2025-01-01T00:00:00+00:00"))
    assert [section.lines[0].cells[2] for section in evaluated_sections(table)] == ["90.0", "90.0"]


def test_an_interval_over_seeds_is_never_narrower_than_over_the_questions(tmp_path: Path) -> None:
    group = GROUPS[0]
    alike, apart = [shares(0.5), shares(0.5)], [shares(0.2), shares(0.8)]
    assert over_seeds(FOUND, group, alike[:1]) == pytest.approx((0.4, 0.6))
    low, high = over_seeds(FOUND, group, alike)
    assert low <= 0.4
    assert high >= 0.6
    own = interval(Rates(rates=[0.2, 0.8], sequences=100))
    assert own
    assert over_seeds(FOUND, group, apart) == pytest.approx((min(own[0], 0.4), max(own[1], 0.6)))


def test_perplexities_have_a_geometric_mean_and_an_interval_around_it() -> None:
    """By hand: two seeds at 8 and 32, each known within a factor of 2 by its questions."""
    runs = [
        GroupScores(scores={"a": score}, low={"a": score / 2}, high={"a": score * 2}, n={"a": 9})
        for score in (8.0, 32.0)
    ]
    assert mean_of(PERPLEXITY, "a", runs) == pytest.approx(16.0)
    between = 12.7062 * math.log(32 / 8) / math.sqrt(2) / math.sqrt(2)  # Student's t of one degree of freedom
    reach = math.hypot(math.log(2), between)
    low, high = over_seeds(PERPLEXITY, "a", runs)
    assert (low, high) == pytest.approx((max(16 / math.exp(reach), 1.0), 16 * math.exp(reach)), rel=1e-3)
    assert over_seeds(PERPLEXITY, "a", runs[:1]) == pytest.approx((4.0, 16.0))


def test_needles_are_drawn_by_depth_and_by_number(tmp_path: Path) -> None:
    with styled():
        figure = figures(asked_table(tmp_path, aaaa=asked(0.5)), 7.0)["needles"]
        two, four, by_number, *_ = figure.axes
    assert (two.get_title("left"), four.get_title("left")) == ("2 needles", "4 needles")
    (line,) = two.lines
    assert [*line.get_xdata()] == [0, 25, 50, 75, 100]
    assert [*line.get_ydata()] == [0.5] * 5
    assert [tick.get_text() for tick in by_number.get_xticklabels()] == ["2", "4"]
    assert "needles" not in figures(table_of(tmp_path, CLEAR), 7.0)


def test_facts_are_drawn_by_task_and_by_length(tmp_path: Path) -> None:
    groups = [f"task {task}, {length} tokens around" for task in (1, 2) for length in ("0", "1,000")]
    by = GroupScores(
        scores=dict(zip(groups, (0.4, 0.2, 0.6, 0.4), strict=True)),
        low=dict.fromkeys(groups, 0.1),
        high=dict.fromkeys(groups, 0.7),
        n=dict.fromkeys(groups, 9),
    )
    floors = {"any label at random": dict.fromkeys(groups, 1 / 6)}
    found = replace(asked(0.5), name="babilong", metrics={BY_LIKELIHOOD.name: by}, floors=floors)
    with styled():
        figure = figures(asked_table(tmp_path, aaaa=found), 7.0)["facts"]
    one, two, mean, *_ = figure.axes
    assert (one.get_title("left"), two.get_title("left")) == ("task 1", "task 2")
    line, floor = one.lines
    assert [*line.get_xdata()] == [0, 1000]
    assert [*line.get_ydata()] == pytest.approx([0.4, 0.2])
    assert [*floor.get_ydata()] == [1 / 6] * 2
    (by_length,) = mean.lines
    assert [*by_length.get_ydata()] == pytest.approx([0.5, 0.3])
    assert [tick.get_text() for tick in mean.get_xticklabels()] == ["0", "1,000"]


def test_groups_of_a_synthetic_task_are_shown_with_intervals_and_floors(tmp_path: Path) -> None:
    sweep = load_sweep("needle_symbols", scale="nano")
    groups = sweep.rows[0].config.task.groups  # type: ignore[attr-defined]
    changes = {"domains": dict.fromkeys(groups, 0.5), "scored": dict.fromkeys(groups, 100)}
    table = table_of(tmp_path, {"mta": {0: 0.5}}, sweep=sweep, changes={"mta": changes})
    first, *others = evaluated_sections(table)
    assert len(others) == 9
    assert first.title == "needles: needle accuracy, %, up to 100 questions each, not tested; 2 needles, 72 tokens"
    mta, any_number, of_the_text = first.lines
    assert mta.cells[:4] == ("mta", "1 of 3", "50.0", "50.0 [40.4, 59.6]")  # Wilson's interval
    assert any_number.cells[2:] == ("10.0",) * 6
    assert of_the_text.cells[2:] == ("55.0",) * 6
    with styled():
        assert "needles" in figures(table, 7.0)


def test_a_written_table_whose_sweep_asks_something_else_today_is_stale(tmp_path: Path) -> None:
    sweep = load_sweep("last_word", scale="nano")
    table = document(table_of(tmp_path, {}, sweep=sweep))
    assert not changed_since_written(table)
    (asked_then,) = table["evaluate"]
    assert (asked_then["name"], asked_then["samples"]) == ("last_word", 5000)
    for change in ({"samples": 10}, {"code": "other"}):
        other = {**table, "evaluate": [{**asked_then, **change}]}
        assert changed_since_written(other) == ["what its runs are asked, or how"]


def test_json_and_csv_have_every_group(tmp_path: Path) -> None:
    table = asked_table(tmp_path, aaaa=asked(0.5))
    (row,) = [row for row in json.loads(as_json(table))["rows"] if row["row"] == "wide"]
    kept = row["runs"]["0"]["evaluated"]["aaaa"]
    assert kept["metrics"]["needle_accuracy"][GROUPS[3]] == {"score": 0.5, "interval": [0.4, 0.6], "n": 100}
    assert kept["floors"] == {"any number at random": dict.fromkeys(GROUPS, 1 / 9)}
    lines = [*csv.DictReader(as_csv(table).splitlines())]
    column = f"evaluated.needles.aaaa.needle_accuracy.{GROUPS[3]}"
    assert [line[column] for line in lines if line["row"] == "wide"] == ["0.5"] * 3
