"""Looks that are declared, used, changed and refused, over made-up results. No model is trained."""

import json
import shutil
from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.results.looks import UsedLooks, used_looks
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import finish

FILE = """
baseline: softmax
LOOKS
rows:
  softmax: {attention: softmax}
  talking heads: {attention: talking_heads}
"""
OWN = "data.path=mine"
SCORES = {
    "softmax": (30.0, 30.3, 29.8, 30.1, 30.2, 29.9),
    "talking heads": (28.0, 28.2, 27.85, 28.1, 28.2, 27.8),
}


def sweep(looks: str) -> str:
    Path("own.yaml").write_text(FILE.replace("LOOKS", looks))
    return "own.yaml"


def trained(corpus: Corpus, seeds: int) -> None:
    """Write made-up results of the sweep's first seeds."""
    records = Records()
    for run in load_sweep(sweep("seeds: 6"), scale="nano", settings=[OWN]).runs():
        if run.seed < seeds:
            finish(records, fingerprint(run.config, corpus.content_hash), SCORES[run.row][run.seed], run.config)


def table(lab: Command, *words: str) -> dict[str, object]:
    done = lab("report", "own.yaml", OWN, "--format", "json", *words)
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("looks: 3", "own.yaml: looks: got 3, allowed: rising numbers of seeds, 2 or more each, like [3, 6, 12]"),
        ("looks: [6, 3]", "own.yaml: looks: got [6, 3], allowed: rising"),
        ("looks: [1, 3]", "own.yaml: looks: got [1, 3], allowed: rising"),
        ("looks: []", "own.yaml: looks: got [], allowed: rising"),
        ("looks: [3, 6]\nseeds: 7", "own.yaml: seeds: got 7, but own.yaml: looks ends at 6"),
        ("equal_within: 1", "own.yaml: equal_within: got 1, allowed: a percentage above 0% and up to 50%, like 1%"),
        ("equal_within: 0%", "own.yaml: equal_within: got '0%', allowed: a percentage"),
        ("equal_within: narrow", "own.yaml: equal_within: got 'narrow', allowed: a percentage"),
    ],
)
def test_a_mistake_is_answered_in_one_line(line: str, said: str, lab: Command) -> None:
    assert said in lab("report", sweep(line)).complaint


def test_more_seeds_than_the_last_look_has_are_refused(lab: Command) -> None:
    complaint = lab("sweep", sweep("looks: [3, 6]"), "--seeds", "7", "--dry-run").complaint
    assert "--seeds: got 7, but own.yaml: looks ends at 6" in complaint


def test_each_scale_may_have_looks_of_its_own(lab: Command) -> None:
    file = sweep("looks: {nano: [5], micro: [3, 6, 12]}\nseeds: 3")
    found = {scale: load_sweep(file, scale=scale) for scale in ("nano", "micro", "small")}
    assert [one.looks for one in found.values()] == [(5,), (3, 6, 12), ()]
    assert [len(one.seeds) for one in found.values()] == [5, 12, 3]
    assert "looks.mikro: no such scale; did you mean 'micro'?" in lab("report", sweep("looks: {mikro: [3]}")).complaint
    assert "looks.nano: got {'nano': [3]}, allowed" in lab("report", sweep("looks: {nano: {nano: [3]}}")).complaint
    assert "own.yaml: looks.nano: got [6, 3], allowed" in lab("report", sweep("looks: {nano: [6, 3]}")).complaint


def test_the_last_look_is_how_many_seeds_there_are(lab: Command) -> None:
    assert load_sweep(sweep("looks: [3, 6]"), scale="nano").seeds == tuple(range(6))


@pytest.mark.parametrize(("seeds", "used", "counted"), [(2, 0, 2), (3, 1, 3), (5, 1, 3), (6, 2, 6)])
def test_verdicts_are_of_complete_looks(seeds: int, used: int, counted: int, lab: Command, corpus: Corpus) -> None:
    trained(corpus, seeds)
    sweep("looks: [3, 6]")
    found = table(lab)
    assert found["looks"] == {"seeds": [3, 6], "levels": [pytest.approx(0.02), pytest.approx(0.03)], "used": used}
    rows = found["rows"]
    assert isinstance(rows, list)
    assert rows[1]["verdict"] == ("better" if used else None)
    delta = float(rows[1]["delta"])
    means = [sum(SCORES[row][:counted]) / counted for row in ("talking heads", "softmax")]
    assert delta == pytest.approx(means[0] / means[1] - 1, abs=2e-4)


def test_looks_that_are_changed_after_looking_are_told_in_one_line(lab: Command, corpus: Corpus) -> None:
    trained(corpus, 6)
    sweep("looks: [3, 6]")
    assert table(lab)["remarks"] == []
    assert table(lab)["remarks"] == [], "the same looks again are no change"
    sweep("looks: [2, 4, 6]")
    said = "looks changed after looking: verdicts were given at 3 and 6 seeds before, under other looks than these"
    (remark,) = table(lab)["remarks"]
    assert remark.startswith(said)
    assert remark.endswith("the chance of a false alarm in this table is up to 10%, not 5%")
    assert said in lab("report", "own.yaml", OWN).err


def test_a_look_that_was_never_complete_has_spent_nothing(lab: Command, corpus: Corpus) -> None:
    trained(corpus, 3)
    sweep("looks: [3, 6]")
    table(lab)
    sweep("looks: [3, 4]")
    (remark,) = table(lab)["remarks"]
    assert "verdicts were given at 3 seeds before" in remark
    assert "up to 7%, not 5%" in remark


def test_seeds_that_are_added_without_looks_are_told_too(lab: Command, corpus: Corpus) -> None:
    trained(corpus, 4)
    sweep("seeds: 3")
    table(lab, "--seeds", "2")
    (remark,) = table(lab, "--seeds", "3")["remarks"]
    assert "given at 2 seeds before" in remark
    (remark,) = table(lab, "--seeds", "4")["remarks"]
    assert "given at 2 seeds, then 3 seeds before" in remark
    assert "up to 15%, not 5%" in remark


@pytest.mark.parametrize("way", ["moved", "exported", "archived"])
def test_looks_travel_with_the_records(way: str, lab: Command, corpus: Corpus) -> None:
    trained(corpus, 3)
    sweep("looks: [3, 6]")
    table(lab)
    other = "other"
    if way == "exported":
        assert lab("results", "export", "own.yaml", OWN, "--output", other).status == 0
        shutil.rmtree("results")
    elif way == "archived":
        assert lab("results", "archive", "own.yaml", OWN, "--output", "other.tar.gz").status == 0
        shutil.rmtree("results")
        shutil.unpack_archive("other.tar.gz", filter="data")
        other = "other/results"
    else:
        shutil.move("results", other)
    Path("results").mkdir()
    assert lab("results", "merge", other).status == 0
    sweep("looks: [2, 3]")
    (remark,) = table(lab)["remarks"]
    assert "looks changed after looking" in remark


def test_other_runs_are_another_table(lab: Command, corpus: Corpus) -> None:
    """Runs of other code have other fingerprints: what was seen of the old ones spends nothing."""
    trained(corpus, 3)
    sweep("looks: [3, 6]")
    table(lab)
    file = Path("results/looks.json")
    name, (kept,) = next(iter(used_looks(file.parent).items()))
    assert kept == UsedLooks(kept.baseline, (3, 6), 1)
    file.write_text(file.read_text().replace(kept.baseline, "0" * 16))
    sweep("looks: [2, 3]")
    assert table(lab)["remarks"] == []
    assert len(used_looks(file.parent)[name]) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": [{"baseline": 1}]}'])
def test_a_damaged_file_of_looks_is_told_and_stops_nothing(content: str, lab: Command, corpus: Corpus) -> None:
    trained(corpus, 3)
    sweep("looks: [3, 6]")
    Path("results/looks.json").write_text(content)
    (remark,) = table(lab)["remarks"]
    assert "results/looks.json cannot be read" in remark
    assert Path("results/looks.json").read_text() == content


def test_the_effect_is_asked_for_in_percent(lab: Command, corpus: Corpus) -> None:
    trained(corpus, 3)
    sweep("seeds: 3")
    usual, large = table(lab), table(lab, "--effect", "9%")
    assert (usual["effect"], large["effect"]) == (0.02, 0.09)
    assert usual["detection_limit"] == large["detection_limit"]
    assert float(str(usual["power"])) < float(str(large["power"]))
    assert "One of 9.0% is seen with" in lab("report", "own.yaml", OWN, "--effect", "9%", "--format", "markdown").out
    complaint = lab("report", "own.yaml", OWN, "--effect", "0.02").complaint
    assert complaint.startswith("--effect: got '0.02', allowed: a percentage")


def test_a_budget_that_ends_inside_a_look_is_told_in_one_line(lab: Command, corpus: Corpus) -> None:
    """Each run took 12 s: a budget of 2 rows, 1 worker and 12 s a seed more."""
    trained(corpus, 1)
    sweep("looks: [3, 6]")

    def said(seeds: int) -> str:
        budget = f"{24 * (seeds - 1) + 1}s"
        return " ".join(lab("sweep", "own.yaml", OWN, "--budget", budget, "--workers", "1", "--dry-run").out.split())

    assert "; that ends inside look 1, which takes 3: until then there is no verdict yet" in said(2)
    assert "3 seeds of every row" in said(3)
    assert "inside" not in said(3)
    assert "; that ends inside look 2, which takes 6: until then verdicts stay those of 3 seeds" in said(5)
    assert "6 seeds of every row" in said(60)


def planned(lab: Command, *words: str) -> str:
    done = lab("plan", "own.yaml", OWN, *words)
    assert done.status == 0, done.err
    return " ".join(done.out.split())


def test_a_plan_says_what_its_table_will_see(lab: Command, corpus: Corpus) -> None:
    trained(corpus, 3)
    sweep("looks: [3, 6]")
    said = planned(lab)
    assert "Looks at 3 and 6 seeds, at levels 0.020 and 0.030." in said
    assert "Detection limit: with 6 seeds and the noise of the runs so far, " in said
    assert "One of 2.0% is seen with " in said
    assert not Path("results/looks.json").exists(), "a plan shows no verdict"
    assert "with 3 seeds and the noise" in planned(lab, "--seeds", "4")


def test_a_plan_of_one_seed_says_that_no_row_gets_a_verdict(lab: Command, corpus: Corpus) -> None:
    trained(corpus, 1)
    sweep("seeds: 1")
    assert "One seed tells no noise, so no row gets a verdict: a verdict takes two seeds or more." in planned(lab)
    assert "known once a row and its baseline are finished under two seeds" in planned(lab, "--seeds", "2")
