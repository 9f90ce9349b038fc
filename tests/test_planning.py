"""The estimated time of a sweep: from records, from a probe, and how many seeds fit a budget."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import RunConfig
from mta_lab.devices import child, own
from mta_lab.devices.visible import Gpu
from mta_lab.errors import UserError
from mta_lab.planning import estimates as planning
from mta_lab.planning.by_arithmetic import operations, operations_of
from mta_lab.planning.estimates import (
    Estimate,
    affordable_seeds,
    estimates,
    recorded,
    seconds_of,
)
from mta_lab.plugins import load_components
from mta_lab.provenance import contended, provenance
from mta_lab.results.records import Record, Records
from mta_lab.sweep import Row, load_sweep, single_run
from tests.config.helpers import config, registry_restored
from tests.report.examples import finish
from tests.test_sweep import load

VARIANT = '''
from components.attention import AttentionConfig, Softmax
from components.registry import register

@register("attention", "mine")
class Mine(AttentionConfig):
    """Softmax under another name."""

    def build(self, *, width, heads, layer, layers):
        return Softmax().build(width=width, heads=heads, layer=layer, layers=layers)
'''
UNKNOWN = Estimate(None, "unknown")
COSTS = {"a": Estimate(10.0, "recorded"), "b": Estimate(20.0, "probed")}


def history(folder: Path, seconds: float, *settings: str) -> list[Record]:
    """One recorded run of every row of `masking`."""
    records = Records(folder)
    for number, row in enumerate(load_sweep("masking", scale="nano", settings=settings).rows):
        finish(records, f"row{number}", 30.0, row.config)
    return records.all_finished()


def of_row(row: Row, runs: list[Record]) -> Estimate:
    return recorded([row], runs)[row.name]


@pytest.mark.parametrize(("budget", "workers", "seeds"), [(30, 1, 1), (59, 1, 1), (60, 1, 2), (60, 2, 4)])
def test_as_many_whole_rounds_of_seeds_as_fit(budget: float, workers: int, seeds: int) -> None:
    assert affordable_seeds(COSTS, lambda n: {"a": n, "b": n}, budget=budget, workers=workers) == seeds


def test_what_is_finished_costs_nothing() -> None:
    def left(seeds: int) -> dict[str, int]:
        return {"a": max(0, seeds - 2), "b": max(0, seeds - 2)}

    assert affordable_seeds(COSTS, left, budget=30, workers=1) == 3


def test_a_budget_below_one_round_says_what_a_round_takes() -> None:
    with pytest.raises(UserError, match=r"got 20 s, but one seed of every row takes about 30 s on 1 worker"):
        affordable_seeds(COSTS, lambda n: {"a": n, "b": n}, budget=20, workers=1)


def test_a_row_of_unknown_time_has_no_budget() -> None:
    unknown = {**COSTS, "c": Estimate(None, "unknown")}
    with pytest.raises(UserError, match=r"how long 'c' takes.*--seeds"):
        affordable_seeds(unknown, lambda n: dict.fromkeys(unknown, n), budget=1e9, workers=1)


def test_recorded_time_is_scaled_by_steps_and_kept_to_the_same_model(tmp_path: Path) -> None:
    runs = history(tmp_path, 30.0)
    half = load_sweep("masking", scale="nano", settings=["training.steps=512"]).rows[0]
    wider = load_sweep("masking", scale="nano", settings=["model.width=128"]).rows[0]
    whole = of_row(load_sweep("masking", scale="nano").rows[0], runs)
    assert whole.source == "recorded"
    assert whole.seconds
    assert of_row(half, runs).seconds == pytest.approx(whole.seconds / 2)
    assert of_row(wider, runs) == Estimate(None, "unknown")


@pytest.mark.parametrize(("steps", "told"), [(10, False), (102, False), (103, True), (1024, True)])
def test_a_run_of_few_steps_does_not_say_what_many_take(steps: int, told: bool, tmp_path: Path) -> None:
    runs = history(tmp_path, 30.0, f"training.steps={steps}", "training.warmup_steps=1")
    assert (of_row(load_sweep("masking", scale="nano").rows[0], runs).seconds is not None) is told
    same = load_sweep("masking", scale="nano", settings=[f"training.steps={steps}"]).rows[0]
    assert of_row(same, runs).source == "recorded"


class Counted(dict[str, Any]):
    """A recorded configuration that counts how often something is read from it."""

    reads = 0

    def __getitem__(self, key: str) -> Any:
        self.reads += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.reads += 1
        return super().get(key, default)


def test_more_rows_read_no_record_again(tmp_path: Path) -> None:
    def reads(rows: int) -> int:
        runs = [replace(run, config=Counted(run.config)) for run in history(tmp_path, 30.0)]
        found = recorded(load_sweep("masking", scale="nano").rows[:1] * rows, runs)
        assert all(estimate.source == "recorded" for estimate in found.values())
        return sum(run.config.reads for run in runs if isinstance(run.config, Counted))

    assert reads(rows=50) == reads(rows=1) > 0


@pytest.mark.parametrize("setting", ["training.batch_size=4", "training.precision=bf16", "model.context=64"])
def test_a_run_of_another_batch_length_or_precision_says_nothing(setting: str, tmp_path: Path) -> None:
    (row, *_) = load_sweep("masking", scale="nano", settings=[setting]).rows
    assert of_row(row, history(tmp_path, 30.0)) == Estimate(None, "unknown")
    same = history(tmp_path / "same", 30.0, setting)
    assert of_row(row, same) == Estimate(pytest.approx(same[0].seconds), "recorded")


def test_two_workers_take_half_of_what_one_takes() -> None:
    one, two = (seconds_of({"a": 3, "b": 1, "c": 0}, {**COSTS, "c": UNKNOWN}, workers) for workers in (1, 2))
    assert (one, two) == (50.0, 25.0)
    assert seconds_of({"a": 3, "c": 1}, {**COSTS, "c": UNKNOWN}, 1) is None


def test_no_plan_takes_less_than_its_longest_run_or_chain() -> None:
    left = {"a": 3, "b": 1}
    assert seconds_of(left, COSTS, 16) == 20
    assert seconds_of(left, COSTS, 16, [["a"], ["a", "b"]]) == 30
    assert seconds_of({**left, "a": 0}, COSTS, 16, [["a"], ["a", "b"]]) == 20, "the first run is finished"
    assert seconds_of(left, COSTS, 1, [["a"], ["a", "b"]]) == 50


def test_a_budget_below_the_longest_chain_fits_no_seed() -> None:
    with pytest.raises(UserError, match=r"got 25 s, but one seed of every row takes about 30 s on 4 workers"):
        affordable_seeds(COSTS, lambda n: {"a": n, "b": n}, budget=25, workers=4, chains=[["a"], ["a", "b"]])


def test_a_stage_of_no_steps_takes_no_time_and_is_not_timed(tmp_path: Path) -> None:
    stages = {"as it is": {"training.steps": 0}}
    file = {"stages": stages, "rows": {"plain": {}, "scored": {"stages": ["as it is"]}}}
    found = recorded(load(tmp_path, file).rows, [])
    assert (found["plain"].seconds, found["scored"].seconds) == (None, 0.0)


def test_times_of_another_machine_count_only_where_there_are_none_of_this(tmp_path: Path) -> None:
    row = load_sweep("masking", scale="nano").rows[0]
    records = Records(tmp_path)

    def estimate_with(name: str, seconds: float, machine: str) -> float | None:
        origin = {"machine": machine, "threads": 1, "torch": "0", "commit": "none", "contended": False}
        finish(records, name, 30.0, row.config, seconds=seconds, provenance=origin)
        return of_row(row, records.all_finished()).seconds

    assert estimate_with("a", 90.0, "another machine") == 90.0
    assert estimate_with("b", 30.0, own.trains_on()) == 30.0
    assert estimate_with("c", 50.0, own.trains_on()) == 40.0
    assert estimate_with("d", 10.0, "a third machine") == 40.0


def test_times_of_contended_runs_count_only_where_there_are_no_others(tmp_path: Path) -> None:
    """Quiet runs come first, then unknown ones, then those that are said to be busy."""
    row = load_sweep("masking", scale="nano").rows[0]
    records = Records(tmp_path)
    origin = {"machine": "a made-up machine", "threads": 1, "torch": "0", "commit": "none"}

    def estimate_with(name: str, seconds: float, contended: bool | None) -> Estimate:
        finish(records, name, 30.0, row.config, seconds=seconds, provenance={**origin, "contended": contended})
        return of_row(row, records.all_finished())

    busy = estimate_with("busy", 90.0, True)
    assert busy == Estimate(90.0, "recorded", contended=True)
    assert busy.origin == "recorded, on a busy machine"
    assert estimate_with("unknown", 50.0, None) == Estimate(50.0, "recorded")
    assert estimate_with("quiet", 30.0, False) == Estimate(30.0, "recorded")


@pytest.mark.parametrize(("load", "says"), [(0.0, False), (1.0, False), (2.0, True), (None, None)])
def test_a_machine_is_contended_where_more_wants_to_run_than_it_has_cores(
    load: float | None, says: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def average() -> tuple[float, float, float]:
        if load is None:
            raise OSError
        return (load * (os.cpu_count() or 1), 0.0, 0.0)

    monkeypatch.setattr(os, "getloadavg", average)
    assert contended() is says
    assert provenance(1)["contended"] is says


def test_rows_without_a_record_are_probed_where_a_step_is_small(tmp_path: Path) -> None:
    settings = ["model.width=32", "model.context=16", "training.batch_size=1"]
    sweep = load_sweep("language_modeling", scale="nano", settings=settings)
    said: list[str] = []
    found = estimates(sweep, [], 1, said.append)
    assert {estimate.source for estimate in found.values()} == {"probed"}
    assert all(estimate.seconds for estimate in found.values())
    assert len(said) == len(sweep.rows)


def test_a_row_whose_step_takes_long_is_probed_by_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit between the operations of one sequence and of two lets a step read one."""
    sweep = load_sweep("masking", scale="nano", settings=["model.width=32", "training.batch_size=4"])
    read: list[int] = []

    def counted(config: RunConfig) -> float:
        read.append(config.training.batch_size)
        return 0.5

    monkeypatch.setattr(planning, "_step_seconds", counted)
    monkeypatch.setattr(planning, "LARGEST_STEP", 1.5 * operations_of(sweep.rows[0].config, 1))
    found = estimates(sweep, [], 1, lambda line: None)
    steps = sweep.rows[0].config.training.steps
    assert {(estimate.seconds, estimate.source) for estimate in found.values()} == {(0.5 * 4 * steps, "probed")}
    assert set(read) == {1}


def test_a_row_too_large_to_probe_is_estimated_from_a_matrix_product() -> None:
    sweep = load_sweep("language_modeling", scale="paper-880m")
    found = estimates(sweep, [], 1, lambda line: None)
    assert {estimate.source for estimate in found.values()} == {"arithmetic"}
    transformer, mta = (found[name].seconds for name in ("transformer", "mta"))
    assert transformer
    assert mta == pytest.approx(transformer, rel=1e-3)


def test_a_probe_where_there_is_a_gpu_is_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It loads the user's components first, without which it could not read what it is sent."""
    monkeypatch.setattr(child, "gpus", lambda: (Gpu("0", "a GPU"),))
    monkeypatch.setattr(planning, "_step_seconds", None)  # not called in this process
    file = tmp_path / "mine.py"
    file.write_text(VARIANT)
    with registry_restored():
        load_components([file])
        settings = ["attention=mine", "model.width=32", "model.context=16", "training.batch_size=1"]
        found = estimates(single_run(config(*settings, scale="nano"), {}), [], 1, lambda line: None, [file])
    assert [estimate.source for estimate in found.values()] == ["probed"]


def test_operations_are_six_a_parameter_and_token() -> None:
    row = load_sweep("language_modeling", scale="paper-880m").rows[0]
    assert operations(row.config) == pytest.approx(6 * 876_553_728 * 400_000 * 128 * 2048)
