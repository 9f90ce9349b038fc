"""`mta-lab clean`: sizes first, then what was named, and never what a stage starts from."""

from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.config import identity_of, plain
from mta_lab.identity import ENGINE, fingerprint_of
from mta_lab.launch.guards import only_launch
from mta_lab.planning.runs import Run, identified, with_parents
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import example_record

FILE = """
title: Longer
base: {data.path: mine}
stages:
  longer: {times: {model.context: 2}}
rows:
  plain: {attention: softmax}
  longer: {attention: softmax, stages: [longer]}
  talking: {attention: talking_heads}
"""
EVERY = ("--checkpoints", "--weights", "--stale")


@pytest.fixture
def runs(lab: Command) -> dict[str, Run]:
    """The runs of the first seed of a sweep with a stage, none of them finished."""
    Path("longer.yaml").write_text(FILE)
    every = with_parents(identified(load_sweep("longer.yaml", scale="nano"), lambda run: "text"))
    return {run.row: run for run in every if run.seed == 0}


def finish(run: Run, engine: int = ENGINE, parent: str = "") -> Path:
    """Keep a made-up result with weights, under the fingerprint that its engine gives it."""
    identity = replace(identity_of(run.config, "text", parent), engine=engine)
    made = example_record(fingerprint_of(plain(run.config), identity), 30.0, run.config)
    Records().finish(replace(made, meaning=identity.meaning, engine=engine, parent=parent))
    file = Records().weights(made.fingerprint)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(bytes(1_000_000))
    return file


def test_sizes_are_shown_and_nothing_goes_without_yes(lab: Command, runs: dict[str, Run]) -> None:
    file = finish(runs["talking"])
    for asked in ((), EVERY):
        said = lab("clean", *asked).out
        assert "weights: 1 run, 1.0 MB: finished models" in said
        assert "nothing is removed" in said
    assert file.exists()


def test_what_is_named_goes_and_the_rest_stays(lab: Command, runs: dict[str, Run]) -> None:
    file, records = finish(runs["talking"]), Records()
    checkpoint = records.checkpoints(runs["plain"].fingerprint) / "20.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(bytes(2_000_000))
    assert "checkpoints: 1 run, 2.0 MB" in lab("clean", "--checkpoints", "--yes").out
    assert not checkpoint.parent.exists()
    assert file.exists()
    lab("clean", "--weights", "--yes")
    assert not file.exists()
    assert records.finished(runs["talking"].fingerprint)


def test_weights_that_are_of_no_run_stay(lab: Command, runs: dict[str, Run]) -> None:
    """A launch brings in those of a checkpoint, under the hash of their content."""
    file = finish(runs["talking"]).with_name(f"{'c' * 16}.pt")
    file.touch()
    assert "weights: 1 run," in lab("clean", "--weights", "--yes").out
    assert file.exists()


def test_weights_that_a_stage_has_started_from_stay(lab: Command, runs: dict[str, Run]) -> None:
    parent = finish(runs["plain"])
    stage = finish(runs["longer"], parent=parent.stem)
    assert "1 more stay" in lab("clean", "--weights", "--yes").out
    assert parent.exists()
    assert not stage.exists()


def test_weights_that_a_stage_of_a_known_sweep_will_start_from_stay(lab: Command, runs: dict[str, Run]) -> None:
    parent = finish(runs["plain"])
    Path("results/sweeps.json").write_text('["longer.yaml"]')
    lab("clean", *EVERY, "--yes")
    assert parent.exists()


def test_stale_runs_go_with_their_weights(lab: Command, runs: dict[str, Run]) -> None:
    old, parent = finish(runs["talking"], engine=1), finish(runs["plain"])
    stage = finish(runs["longer"], parent=parent.stem)
    assert "stale: 1 run" in lab("clean", "--stale", "--yes").out
    assert not old.exists()
    assert not Records().has_finished(old.stem)
    assert parent.exists()
    assert stage.exists()


def test_a_stage_of_a_stale_run_is_stale_and_they_go_together(lab: Command, runs: dict[str, Run]) -> None:
    parent = finish(runs["plain"], engine=1)
    stage = finish(runs["longer"], parent=parent.stem)
    assert "stale: 2 runs" in lab("clean", "--stale", "--yes").out
    assert not parent.exists()
    assert not stage.exists()


def test_the_runs_of_one_sweep_can_be_cleaned_alone(lab: Command, runs: dict[str, Run]) -> None:
    Path("other.yaml").write_text("title: Other\nbase: {data.path: mine}\nrows: {plain: {attention: softmax}}\n")
    Path("mine").mkdir()
    Path("mine/news.txt").write_text("the cat sees a river")
    file = finish(runs["talking"])
    assert "weights: 0 runs" in lab("clean", "other.yaml", "--weights", "--yes").out
    assert file.exists()
    lab("clean", "longer.yaml", "--weights", "--yes")
    assert not file.exists()


def test_nothing_goes_while_a_launch_runs(lab: Command, runs: dict[str, Run]) -> None:
    file = finish(runs["talking"])
    with only_launch(Path("results")):
        assert "another sweep is running here" in lab("clean", "--weights", "--yes").err
    assert file.exists()
