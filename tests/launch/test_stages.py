"""A launch of chains on a real worker: their order, their records, and what is said of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.errors import UserError
from mta_lab.lab.costs import left_of
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.packing import export
from mta_lab.lab.plan import Plan
from mta_lab.lab.plans import every_stage
from mta_lab.lab.tables import finished_table
from mta_lab.lab.why import explain
from mta_lab.planning.runs import Run
from mta_lab.report.notes import notes
from mta_lab.results.records import Record
from tests.launch.conftest import Launched, planned, run
from tests.launch.sweeps import write_sweep

STAGES = {
    "longer": {"times": {"model.context": 2}, "training.token_share": 0.5, "model.rope_theta": 500000.0},
    "as it is": {"times": {"model.context": 2}, "training.steps": 0},
    "cooler": {"times": {"training.learning_rate": 0.5}},
}
ROWS = {
    "plain": {"attention": "softmax"},
    "longer": {"attention": "softmax", "stages": ["longer"]},
    "as it is": {"attention": "softmax", "stages": "as it is"},
    "both": {"attention": "softmax", "stages": ["longer", "cooler"]},
    "raising": {"attention": {"name": "moody", "mood": "raising"}, "stages": ["longer", "cooler"]},
}


@dataclass
class Chains:
    """The launch, and what was planned."""

    launched: Launched
    plan: Plan

    @property
    def started(self) -> list[Run]:
        return [run for kind, _, run in self.launched.events if kind == "started"]

    @property
    def records(self) -> dict[str, Record]:
        found = {run.row: self.plan.records.finished(run.fingerprint) for run in self.started}
        return {row: record for row, record in found.items() if record}

    def why(self, row: str) -> str:
        return "\n".join(explain(self.plan, row))


@pytest.fixture(scope="module")
def chains(moody: Path, words: Path) -> Iterator[Chains]:
    file = write_sweep(moody.parent / "chains.yaml", ROWS, seeds=1, stages=STAGES, data={"path": str(words)})
    (moody.parent / "broken").touch()
    yield Chains(run(file, [moody], workers=1), planned(file))
    (moody.parent / "broken").unlink(missing_ok=True)


def test_each_run_of_a_chain_starts_once_and_after_its_parent_ended(chains: Chains) -> None:
    events = [(kind, one.fingerprint) for kind, _, one in chains.launched.events]
    assert sorted(one.row for one in chains.started) == ["as it is", "both", "longer", "plain", "raising, start"]
    for one in chains.started:
        if one.parent:
            assert events.index(("ended", one.parent.fingerprint)) < events.index(("started", one.fingerprint))


def test_a_launch_counts_what_no_row_stands_for(chains: Chains) -> None:
    assert ": 7 of 7 runs to train on 1 worker\n" in chains.launched.output


def test_a_record_names_the_run_it_started_from(chains: Chains) -> None:
    found = chains.records
    assert found["plain"].parent == ""
    assert found["longer"].parent == found["as it is"].parent == found["plain"].fingerprint
    assert found["both"].parent == found["longer"].fingerprint
    assert [found[row].config["training"]["steps"] for row in ("plain", "longer", "as it is", "both")] == [12, 6, 0, 6]
    assert found["as it is"].validations == [[0, found["as it is"].score]]
    assert chains.why("both").splitlines()[2].startswith("  started from: longer seed 0, results/runs/")


def test_a_parent_that_failed_fails_its_stages_with_one_line(chains: Chains) -> None:
    said = [line for line in chains.launched.output.splitlines() if "and with it what starts from it" in line]
    assert said == [
        "raising, start seed 0 failed, and with it what starts from it: raising, longer seed 0, raising seed 0"
    ]
    assert "1 run failed; `mta-lab retry" in chains.launched.output
    assert chains.launched.status == 1
    lines = chains.why("raising").splitlines()
    assert lines[0].startswith("raising seed 0: failed with its parent, raising, start seed 0: RuntimeError: the mood")
    assert any(line.startswith("  next: mta-lab retry") and line.endswith(" raising") for line in lines)
    start = chains.why("raising, start")
    assert start.startswith("raising, start seed 0: failed (exception")
    assert "  next: mta-lab retry" in start
    assert "'raising, start'" not in start, "it is no row, which is all that retry takes"
    (row,) = [one for one in finished_table(chains.plan).rows if one.name == "raising"]
    said = "raising, start seed 0 failed, from which it starts: RuntimeError: the mood is bad"
    assert row.measured.failures[0].reason.startswith(said)


def test_each_stage_is_an_mlflow_run_that_names_its_parent(chains: Chains) -> None:
    client = MlflowClient()
    experiment = client.get_experiment_by_name("chains-nano")
    runs = client.search_runs([experiment.experiment_id])
    found = {one.data.tags["row"]: one.data for one in runs if "row" in one.data.tags}
    assert found["both"].tags["parent"] == found["longer"].tags["fingerprint"]
    assert found["longer"].tags["parent_run"] == "plain seed 0"
    assert "parent" not in found["plain"].tags
    assert found["longer"].params["parent.model.context"] == "16"
    assert "parent.model.width" not in found["longer"].params


def test_a_stage_says_what_it_waits_for(chains: Chains, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(chains.plan.records, "directory", tmp_path)
    said = "both seed 0: pending, waits for its parent, longer seed 0\n  next: mta-lab sweep"
    assert chains.why("both").startswith(said)
    assert "waits" not in chains.why("plain")


def test_the_table_has_the_last_stage_of_each_row_or_all(chains: Chains) -> None:
    rows, every = (finished_table(plan) for plan in (chains.plan, every_stage(chains.plan)))
    assert [row.name for row in rows.rows] == [*ROWS]
    assert [row.name for row in every.rows] == [*[*ROWS][:-1], "raising, start", "raising, longer", "raising"]
    assert (rows.finished, every.finished) == (4, 4)
    assert "alone: from plain (longer, as it is); longer (both); raising, longer (raising)." in " ".join(notes(rows))


def test_a_plan_counts_what_rows_share_once(chains: Chains, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert left_of(chains.plan) == ({}, {"raising": 1}, {})
    monkeypatch.setattr(chains.plan.records, "directory", tmp_path)
    runs, _, _ = left_of(chains.plan)
    assert runs == dict.fromkeys([row.name for row in chains.plan.sweep.staged.rows], 1)
    assert len(runs) == 7


def test_records_that_travel_carry_the_chain(chains: Chains, tmp_path: Path) -> None:
    plan = chains.plan
    for row in ("plain", "longer"):  # as if they were no rows of the sweep
        assert plan.records.has_finished(chains.records[row].fingerprint)
    done = export(plan, tmp_path)
    assert {Path(name).stem for name in done.added} == {record.fingerprint for record in chains.records.values()}
    for name in done.added:
        found = json.loads((tmp_path / name).read_text())
        assert not found["parent"] or (tmp_path / "runs" / f"{found['parent']}.json").exists()


def test_weights_that_a_stage_needs_and_are_gone_stop_the_launch_with_one_line(chains: Chains) -> None:
    """The last one: it takes results away, and brings them back."""
    records, found = chains.plan.records, chains.records
    weights, kept = records.weights(found["longer"].fingerprint), records.file(found["both"].fingerprint)
    content, record = weights.read_bytes(), kept.read_bytes()
    weights.unlink()
    kept.unlink()
    with pytest.raises(UserError, match=r"^longer seed 0: its weights are gone, from which a stage starts \(results/"):
        launch_plan(planned(chains.launched.folder / "chains.yaml"), 1)
    weights.write_bytes(content)
    kept.write_bytes(record)


def test_a_parent_whose_record_is_gone_is_left_alone_where_nothing_needs_it(chains: Chains) -> None:
    file = chains.plan.records.file(chains.records["longer"].fingerprint)
    record = file.read_bytes()
    file.unlink()
    said = chains.why("both")
    file.write_bytes(record)
    assert "which is gone; nothing needs it but a stage that is still to start" in said
