"""Runs that ended before their last step are named below the table."""

from dataclasses import replace
from pathlib import Path

from mta_lab.report.notes import notes
from tests.report.examples import CLEAR, example_sweep, table_of, with_rows


def test_runs_that_ended_by_the_rule_are_told_with_their_steps(tmp_path: Path) -> None:
    sweep = example_sweep(tmp_path)
    config = sweep.row("narrow").config
    stopping = replace(config, training=replace(config.training, stop_after=2))
    ended = {"narrow": {"validations": [[256, 31.0], [512, 30.0]]}}
    table = table_of(tmp_path, CLEAR, sweep=with_rows(sweep, narrow={"config": stopping}), changes=ended)
    (told,) = [line for line in notes(table) if "training.stop_after" in line]
    of = f"after 512 of {config.training.steps:,} steps"
    assert told.endswith(f"scored where they ended: narrow seed 0 {of}; narrow seed 1 {of}; narrow seed 2 {of}.")


def test_a_table_whose_runs_all_went_on_says_nothing_of_it(tmp_path: Path) -> None:
    assert not [line for line in notes(table_of(tmp_path, CLEAR)) if "stop_after" in line]
