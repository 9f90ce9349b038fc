"""MLflow's ready-made view holds the runs that the table counts, and no stale ones."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.config import Layer, resolve, scale_layer
from mta_lab.launch.tracked import launch_of
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep, single_run
from mta_lab.tracking.entries import Launch, LaunchSummary, TrackedRun
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from mta_lab.tracking.view import FILTER
from tests.tracking.launches import end, entry, finished

BEFORE = Launch("table nano", {"sweep": "table", "scale": "nano"})
"""as earlier versions wrote it"""
NOW = Launch("table-nano", {"sweep": "table", "scale": "nano", "settings": "none", "launch": "now"}, formerly="table")


def planned(fingerprint: str, row: str = "mta", seed: int = 0, scale: str = "nano") -> TrackedRun:
    tags = {"sweep": "table", "scale": scale, "row": row, "seed": str(seed)}
    return replace(entry(fingerprint), tags=tags)


def launch(experiment: str, what: Launch, *runs: TrackedRun) -> list[str]:
    """A launch that finishes `runs`; returns what it says."""
    said: list[str] = []
    tracker = Tracker(experiment, Records(), said.append)
    tracker.start(what)
    tracker.enter_later(runs)
    for each in runs:
        tracker.start_run(each)
        end(tracker, Records(), finished(each.fingerprint))
    tracker.end("FINISHED", LaunchSummary("| row |"))
    return said


def in_view(experiment: str) -> set[str]:
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    assert found
    return {run.data.tags["fingerprint"] for run in client.search_runs([found.experiment_id], FILTER)}


def experiments() -> set[str]:
    return {found.name for found in MlflowClient().search_experiments()} - {"Default"}


def test_a_run_in_whose_place_another_counts_is_stale_until_it_counts_again(store: Path) -> None:
    launch("table-nano", NOW, planned("a"), planned("b", seed=1))
    launch("table-nano", NOW, planned("c"))
    assert in_view("table-nano") == {"b", "c"}
    said: list[str] = []
    for counts in ("a", "c"):
        assert sync("table-nano", NOW, [planned(counts), planned("b", seed=1)], Records(), said.append) == Synced()
        assert in_view("table-nano") == {counts, "b"}
    assert said == []


def test_a_run_says_its_settings_its_launch_and_what_it_is(store: Path) -> None:
    launch("table-nano", NOW, planned("a"))
    client = MlflowClient()
    found = client.get_experiment_by_name("table-nano")
    assert found
    for run in client.search_runs([found.experiment_id]):
        assert run.data.tags.items() >= NOW.tags.items()


def test_an_experiment_of_an_earlier_version_goes_on_under_its_new_name_and_its_runs_count(store: Path) -> None:
    of_other_settings = planned("f", seed=2)
    launch("table", BEFORE, planned("a"), planned("b", seed=1), of_other_settings)
    runs = [planned("a"), planned("b", seed=1), planned("c", seed=2)]
    assert launch("table-nano", NOW, runs[2]) == [
        "MLflow: experiment 'table' is renamed to 'table-nano', because each scale has its own now"
    ]
    assert sync("table-nano", NOW, runs, Records(), pytest.fail) == Synced()
    assert experiments() == {"table-nano"}
    assert in_view("table-nano") == {"a", "b", "c"}


@pytest.mark.parametrize("other", [{"scale": "small"}, {"sweep": "another"}, {"settings": "none"}])
def test_an_experiment_that_holds_other_runs_too_is_left_as_it_is(other: dict[str, str], store: Path) -> None:
    mixed = planned("f")
    launch("table", BEFORE, planned("a"), replace(mixed, tags={**mixed.tags, **other}))
    said: list[str] = []
    assert sync("table-nano", NOW, [planned("a")], Records(), said.append) == Synced(finished=1)
    assert said == []
    assert experiments() == {"table", "table-nano"}
    assert in_view("table-nano") == {"a"}


def test_other_settings_scales_and_files_have_experiments_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (tmp_path / "mine.yaml", tmp_path / "below" / "mine.yaml"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("rows: {plain: {attention: softmax}, talking: {attention: talking_heads}}")
    sweeps = [
        load_sweep(name, scale=scale, settings=settings)
        for name in ("mine.yaml", "below/mine.yaml")
        for scale in ("nano", "small")
        for settings in ([], ["training.steps=300"], ["model.layers=3"])
    ]
    for changed in ({}, {"training.steps": 300}):
        sweeps.append(single_run(resolve([scale_layer("nano"), Layer("test", changed)]), changed))
    assert len({sweep.shown_as for sweep in sweeps}) == len(sweeps)
    for sweep in sweeps:
        found, plain = launch_of(sweep), not sweep.settings
        assert (found.tags["settings"] == "none") == plain
        assert found.formerly == (sweep.name if plain else "")
