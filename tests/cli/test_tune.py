"""A sweep that tunes its rows, from its plan to its page, over made-up records."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Records
from mta_lab.sweep import PlannedRun, Sweep, load_sweep
from mta_lab.sweep.tune import at_values, tried, tuning_sweep
from tests.cli.conftest import Command
from tests.launch.sweeps import write_sweep, write_words
from tests.report.examples import finish

RATE, OWN = "training.learning_rate", "data.path=mine"
BRACKET = [4e-3, 8e-3, 16e-3]
FILE = {
    "base": {"attention": {"name": "multi_token", "pre_softmax": ["key_query"], "post_softmax": []}},
    "rows": {"transformer": {"attention": "softmax"}, "mta": {}},
    "seeds": 2,
    "tune": {RATE: BRACKET},
}
Keep = Callable[[dict[str, dict[float, float]]], None]
Scores = dict[str, dict[float, float]]
INSIDE: Scores = {
    "transformer": {4e-3: 31.0, 8e-3: 30.0, 16e-3: 32.0},
    "mta": {4e-3: 31.0, 8e-3: 30.0, 16e-3: 29.0, 32e-3: 33.0},
}


def sweep() -> Sweep:
    return load_sweep("tuned.yaml", scale="nano", settings=[OWN])


def keep(corpus: Corpus, run: PlannedRun, score: float) -> None:
    finish(Records(), fingerprint(run.config, corpus.content_hash), score, run.config)


def tuning_run(row: str, value: float) -> PlannedRun:
    found = sweep()
    assert found.tuning
    return next(
        run for run in tuning_sweep(found, found.tuning, {row: [value]}).runs() if run.row == tried(row, RATE, value)
    )


@pytest.fixture
def tuned(corpus: Corpus, tmp_path: Path) -> Callable[[Scores], None]:
    """Keep made-up results of the runs that tune: row -> value -> score."""
    (tmp_path / "tuned.yaml").write_text(json.dumps(FILE))

    def kept(scores: Scores) -> None:
        for row, values in scores.items():
            for value, score in values.items():
                keep(corpus, tuning_run(row, value), score)

    return kept


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_plan_counts_the_runs_that_tune(lab: Command, tuned: Callable[[Scores], None]) -> None:
    planned = words(lab("sweep", "tuned.yaml", OWN, "--dry-run").out)
    assert "3 tuning runs, 2 runs" in planned
    assert "Tuning widens a bracket while its best is at the edge: at most 6 runs more" in planned
    tuned({"mta": {4e-3: 31.0, 8e-3: 30.0, 16e-3: 29.0}})
    planned = words(lab("sweep", "tuned.yaml", OWN, "--dry-run").out)
    assert "1 tuning run, 2 runs" in planned, "its best is at the edge"
    assert "at most 5 runs more" in planned, "one of its three is planned by now"
    assert "0 of 4 runs finished, 4 runs of its tuning left" in words(lab("status", "tuned.yaml", OWN).out)
    assert "is not tuned yet, 1 run left: 0.004 (31.00), 0.008 (30.00), 0.016 (29.00)" in words(
        lab("why", "tuned.yaml", "mta", OWN).out
    )


def test_each_row_stands_at_its_own_best_and_the_page_has_the_curve(
    lab: Command, tuned: Callable[[Scores], None], corpus: Corpus, tmp_path: Path
) -> None:
    tuned(INSIDE)
    for run in at_values(sweep(), RATE, {"transformer": 8e-3, "mta": 16e-3}).runs():
        keep(corpus, run, 28.0 + run.seed)
    done = lab("sweep", "tuned.yaml", OWN)
    assert (done.status, done.err) == (0, "")
    said = words(done.out)
    assert "all 4 runs are finished, nothing to train" in said
    planned = words(lab("plan", "tuned.yaml", OWN).out)
    assert "at most" not in planned, "each row has its value"
    assert re.search(r"The whole table, 10 runs: .* on 2, .* on 64 cores like this; on an H100 at least ", planned)
    assert "mta 31.00 30.00 29.00 * 33.00" in said
    assert "chosen by 1 run at each value on the random stream 'tune'" in said
    assert "Cost of the choice: 7 runs, 84 s of one worker" in said
    assert f"mta: {RATE} 0.016, the best of 0.004 (31.00)" in words(lab("why", "tuned.yaml", "mta", OWN).out)
    table = json.loads(lab("report", "tuned.yaml", OWN, "--format", "json").out)
    assert table["tuning"]["rows"]["mta"]["best"] == 0.016
    assert [point["score"] for point in table["tuning"]["rows"]["mta"]["points"]] == [31.0, 30.0, 29.0, 33.0]
    lines = lab("report", "tuned.yaml", OWN, "--format", "csv").out
    assert "row.tuned.learning_rate.0.032" in lines.splitlines()[0]
    (tmp_path / "table.json").write_text(json.dumps(table))
    assert "stale" not in lab("results", "mark", "table.json").out
    (tmp_path / "table.json").write_text(json.dumps({**table, "tuning": None}))
    changed = words(lab("results", "mark", "table.json").out)
    assert f"stale: what is tuned for each row (nothing then, {RATE} now)" in changed
    lab("report", "tuned.yaml", OWN, "--html")
    assert "score over the setting that was tuned" in next(Path("results/pages").glob("*.html")).read_text()


def test_the_runs_of_a_tuned_table_are_not_told_as_those_of_another_one(
    lab: Command, tuned: Callable[[Scores], None], corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "tuned.yaml").write_text(json.dumps({**FILE, "tune": RATE}))
    tuned(INSIDE)
    for run in at_values(sweep(), RATE, {"transformer": 8e-3, "mta": 16e-3}).runs():
        keep(corpus, run, 28.0 + run.seed)
    assert "finished under" not in lab("report", "tuned.yaml", OWN).err
    other = next(iter(at_values(sweep(), RATE, {"transformer": 16e-3, "mta": 16e-3}).runs()))
    keep(corpus, other, 28.0)
    assert f"3 of 4 runs are finished under nano, {OWN}, {RATE}=0.016" in words(lab("report", "tuned.yaml", OWN).err)


def test_a_best_value_that_stays_at_the_edge_is_answered_in_one_line(
    lab: Command, tuned: Callable[[Scores], None]
) -> None:
    rates = [4e-3, 8e-3, 16e-3, 32e-3, 64e-3, 128e-3]
    tuned({**INSIDE, "mta": {rate: 31.0 - place for place, rate in enumerate(rates)}})
    said = lab("sweep", "tuned.yaml", OWN)
    assert said.status == 2
    assert said.err.count("\n") == 1
    assert (
        "row 'mta' is best at training.learning_rate 0.128, still at the edge of 0.004 to 0.128 after 3 wid" in said.err
    )


def test_a_rate_that_diverges_is_the_worst_and_no_failure(
    lab: Command, tuned: Callable[[Scores], None], corpus: Corpus
) -> None:
    tuned({**INSIDE, "mta": {4e-3: 31.0, 8e-3: 30.0}})
    name = fingerprint(tuning_run("mta", 16e-3).config, corpus.content_hash)
    attempts = (Attempt(kind="diverged", reason="a loss of nan", ended="2026-01-01", step=3),)
    Records().fail(
        Failure(fingerprint=name, label="mta", kind="diverged", reason="nan", traceback="", attempts=attempts)
    )
    planned = words(lab("sweep", "tuned.yaml", OWN, "--dry-run").out)
    assert "tuning run" not in planned
    assert "mta 31.00 30.00 * diverged" in words(lab("report", "tuned.yaml", OWN).out)


@pytest.mark.slow
def test_the_runs_that_tune_are_trained_widened_and_not_trained_again(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_words(tmp_path / "mine")
    rows: dict[str, dict[str, Any]] = {name: {"attention": name} for name in ("softmax", "differential")}
    file = write_sweep(tmp_path / "slow.yaml", rows, data={"path": "mine"})
    file.write_text(json.dumps({**json.loads(file.read_text()), "tune": {RATE: [1e-6, 2e-6, 4e-6]}}))
    for _ in range(2):  # the more the better as far as 3.2e-5
        assert f"is best at {RATE} 3.2e-05, still at the edge of 1e-06 to 3.2e-05" in lab("sweep", str(file)).err
        assert len([*Path("results/runs").iterdir()]) == 2 * 6
