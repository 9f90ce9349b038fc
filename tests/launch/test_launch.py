import json
import re
from collections import Counter
from multiprocessing.context import SpawnProcess
from pathlib import Path

import optuna
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from components.kernels.base import Conditions
from components.kernels.choice import choose
from mta_lab.lab.texts import known_runs
from mta_lab.planning.runs import in_state
from mta_lab.planning.runs import states as states_of
from mta_lab.results.records import Failure, Record, Records
from tests.launch.conftest import Launched, planned, run


def labels(launched: Launched, kind: str) -> Counter[str]:
    return Counter(run.label for event, _, run in launched.events if event == kind)


def failures(launched: Launched, row: str) -> list[Failure]:
    found = [result for result in launched.results if isinstance(result, Failure) and result.label.startswith(row)]
    assert len(found) == 2
    return found


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


def runs_of(folder: Path, experiment: str) -> list[Run]:
    client = client_of(folder)
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def children(folder: Path, experiment: str) -> list[Run]:
    return [run for run in runs_of(folder, experiment) if MLFLOW_PARENT_RUN_ID in run.data.tags]


def states(folder: Path, study: str) -> Counter[tuple[str, TrialState]]:
    storage = JournalStorage(JournalFileBackend(str(folder / "results" / "optuna.journal")))
    trials = optuna.load_study(study_name=study, storage=storage).get_trials()
    return Counter((trial.user_attrs["row"], trial.state) for trial in trials)


def test_every_run_starts_and_ends_exactly_once(first: Launched) -> None:
    runs = {f"{row} seed {seed}": 1 for row in ("deadly", "plain", "raising", "own") for seed in (0, 1)}
    assert labels(first, "started") == runs
    assert labels(first, "ended") == runs
    for worker in (0, 1):  # each worker ends what it starts, in order
        order = {
            kind: [run.fingerprint for event, who, run in first.events if (event, who) == (kind, worker)]
            for kind in ("started", "ended")
        }
        assert order["started"] == order["ended"] != []


def test_how_busy_workers_were_is_said(first: Launched) -> None:
    (share,) = re.findall(r"the workers were busy ([\d.]+)% of the time", first.output)
    assert 0.0 < float(share) <= 100.0


def test_good_runs_finish_beside_bad_ones(first: Launched) -> None:
    finished = {(r.config["attention"]["name"], r.config["seed"]): r for r in first.results if isinstance(r, Record)}
    assert set(finished) == {("softmax", 0), ("softmax", 1), ("moody", 0), ("moody", 1)}
    for record in finished.values():
        assert Records(first.folder / "results").finished(record.fingerprint) is not None
        assert [step for step, _ in record.validations] == [6, 12]
        assert 1 < record.score == record.domains["tales"] < 400
        assert record.provenance["threads"] >= 1
    # A first seed and a second differ; a user's component differs from softmax.
    assert len({record.score for record in finished.values()}) == 4


def test_a_component_that_raises_is_recorded_with_its_traceback(first: Launched) -> None:
    for failure in failures(first, "raising"):
        assert re.fullmatch(r"RuntimeError: the mood is bad \(.*moody\.py:\d+\)", failure.reason)
        assert failure.kind == "exception"
        assert "moody.py" in failure.traceback
        assert "in attend" in failure.traceback


def test_a_worker_that_dies_fails_its_run_and_is_replaced(first: Launched) -> None:
    reasons = sorted(failure.reason for failure in failures(first, "deadly"))
    assert "exit code 7" in reasons[0]
    assert "SIGKILL" in reasons[1]
    assert {failure.kind for failure in failures(first, "deadly")} == {"killed"}
    deaths = [i for i, (event, _, run) in enumerate(first.events) if event == "ended" and run.row == "deadly"]
    later = [worker for event, worker, _ in first.events[deaths[-1] :] if event == "started"]
    assert later  # both workers have died by now: those that train are new


def test_the_exit_status_and_the_table_tell_of_the_failed_runs(first: Launched) -> None:
    assert first.status == 1
    table = first.output.partition("8/8 runs")[2]
    for label in ("deadly seed 0", "deadly seed 1", "raising seed 0", "raising seed 1"):
        assert f"{label} FAILED" in first.output
        assert label in table
    assert "RuntimeError: the mood is bad" in table
    assert "own" in table
    assert "Traceback" not in first.output


def test_what_computes_the_attention_is_said_once_and_recorded(first: Launched) -> None:
    plain = choose("auto", [], Conditions(torch.device("cpu"), torch.float32))
    said = [line for line in first.output.splitlines() if line.startswith("attention computed by")]
    own = "attention computed by own: the variant computes attention itself"
    assert sorted(said) == sorted([own, f"attention computed by {plain.name}: {plain.reason}"])
    ran = {(r.config["attention"]["name"], r.implementation) for r in first.results if isinstance(r, Record)}
    assert ran == {("softmax", plain.name), ("moody", "own")}
    tags = {run.data.tags["row"]: run.data.tags.get("implementation") for run in children(first.folder, "first-nano")}
    assert tags == {"plain": plain.name, "own": "own", "deadly": None, "raising": None}


def test_a_launch_at_the_same_time_is_refused_in_one_line(first: Launched) -> None:
    assert "another sweep is running here" in first.refusal
    assert "\n" not in first.refusal


def test_the_tracker_and_the_study_hold_what_happened(first: Launched) -> None:
    runs = Counter((run.data.tags["row"], run.info.status) for run in children(first.folder, "first-nano"))
    bad, good = ("deadly", "raising"), ("plain", "own")
    assert runs == {(row, "FAILED" if row in bad else "FINISHED"): 2 for row in (*bad, *good)}
    expected = {(row, TrialState.FAIL if row in bad else TrialState.COMPLETE): 2 for row in (*bad, *good)}
    assert states(first.folder, "first-nano") == expected


def test_another_sweep_trains_only_what_is_not_there(first: Launched, second: Launched) -> None:
    assert second.status == 0
    assert labels(second, "ended") == {"mended seed 0": 1, "mended seed 1": 1}
    for record in second.results:
        assert isinstance(record, Record)
        assert [attempt.kind for attempt in record.attempts] == ["exception"]
    assert [Records(second.folder / "results").failed(result.fingerprint) for result in second.results] == [None] * 2
    before = [result for result in first.results if isinstance(result, Record)]
    shared = [f"{record.score:.2f}" for record in before if record.config["attention"]["name"] == "softmax"]
    assert len(shared) == 2
    assert all(value in second.output for value in shared)
    both = {("same", TrialState.COMPLETE): 2, ("mended", TrialState.COMPLETE): 2}
    assert states(second.folder, "second-nano") == both


def test_the_launchs_own_run_holds_the_numbers_of_the_table_and_what_the_machine_did(second: Launched) -> None:
    (parent,) = (run for run in runs_of(second.folder, "second-nano") if MLFLOW_PARENT_RUN_ID not in run.data.tags)
    table = json.loads(Path(client_of(second.folder).download_artifacts(parent.info.run_id, "table.json")).read_text())
    expected = {}
    for row in table["rows"]:
        low, high = row["interval"] or (None, None)
        numbers = {name: row[name] for name in ("mean", "delta", "p_holm")} | {"delta_low": low, "delta_high": high}
        expected |= {f"{what}/{row['row']}": number for what, number in numbers.items() if number is not None}
    assert {"mean/same", "mean/mended", "delta/mended", "delta_low/mended", "delta_high/mended"} <= set(expected)
    system = {name for name in parent.data.metrics if name.startswith("system/")}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"} <= system
    assert {name: value for name, value in parent.data.metrics.items() if name not in system} == expected


def test_a_launch_with_nothing_to_do_starts_no_process(second: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpawnProcess, "start", lambda _: pytest.fail("a worker process was started"))
    before = len(children(second.folder, "second-nano"))
    again = run(second.folder / "second.yaml", [])
    assert (again.status, again.events) == (0, [])
    assert "nothing to train" in again.output
    assert again.output.partition("Second (nano)")[2] == second.output.partition("Second (nano)")[2] != ""
    assert len(children(second.folder, "second-nano")) == before


def test_what_failed_for_good_is_not_missing(second: Launched) -> None:
    """And what the second sweep mended is finished for the first as well."""
    plan = planned(second.folder / "first.yaml")
    runs = known_runs(plan)
    assert runs is not None
    found = states_of(runs, plan.records)
    assert in_state(runs, found, "pending", "stale") == []
    assert [run.row for run in in_state(runs, found, "failed")] == ["deadly", "deadly"]
