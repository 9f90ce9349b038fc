"""Results by questions in MLflow: entered with a run, or added to one that is there."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.errors import UserError
from mta_lab.results.evaluated import Evaluated, GroupScores, TaskFacts
from mta_lab.results.records import Records
from mta_lab.tracking.opened import enter_evaluated
from mta_lab.tracking.sync import sync
from tests.tracking.launches import LAUNCH, entry, finished, runs


def evaluated(score: float, **settings: object) -> Evaluated:
    groups = {"2 needles, 0 %": score, "2 needles, 100 %": 1.0}
    by = GroupScores(scores=groups, low=groups, high=groups, n=dict.fromkeys(groups, 8))
    return Evaluated(name="needles", settings=settings, metrics={"needle_accuracy": by}, finished="2026-01-02")


def test_a_result_is_a_metric_a_group_and_their_mean(store: Path) -> None:
    records = Records()
    records.finish(replace(finished("f"), evaluated={"a": evaluated(0.5)}))
    sync("table", LAUNCH, [entry("f")], records, pytest.fail)
    client = MlflowClient()
    (run,) = runs(client, "tags.fingerprint = 'f'")
    metrics = {key: value for key, value in run.data.metrics.items() if key.startswith("asked")}
    assert metrics == {
        "asked/needle_accuracy": 0.75,
        "asked/needle_accuracy/2 needles:2C 0 :25": 0.5,
        "asked/needle_accuracy/2 needles:2C 100 :25": 1.0,
    }
    enter_evaluated(replace(finished("f"), run_id=run.info.run_id), evaluated(0.25, samples=8))
    (later,) = runs(client, "tags.fingerprint = 'f'")
    assert later.data.metrics["asked/needle_accuracy/samples:3D8"] == 0.625
    assert later.data.metrics["asked/needle_accuracy"] == 0.75


def test_a_harness_adds_its_standard_errors_shots_and_versions(store: Path) -> None:
    scores = {"boolq": 0.5, "mmlu": 0.25}
    by = GroupScores(scores=scores, low=scores, high=scores, n=dict.fromkeys(scores, 8), error={"boolq": 0.125})
    facts = {"boolq": TaskFacts(shots=0, version="2.0"), "mmlu": TaskFacts(shots=5, version="2")}
    found = Evaluated(
        name="lm_eval",
        settings={"tasks": ["boolq", "mmlu:5"], "limit": 8},
        metrics={"task_accuracy": by},
        harness="lm_eval 0.4.13",
        tasks=facts,
        finished="2026-01-02",
    )
    records = Records()
    records.finish(replace(finished("f"), evaluated={"a": found}))
    sync("table", LAUNCH, [entry("f")], records, pytest.fail)
    (run,) = runs(MlflowClient(), "tags.fingerprint = 'f'")
    assert {key: value for key, value in run.data.metrics.items() if key.startswith("asked")} == {
        "asked/task_accuracy/limit:3D8": 0.375,
        "asked/task_accuracy/limit:3D8/boolq": 0.5,
        "asked/task_accuracy/limit:3D8/mmlu": 0.25,
        "asked/task_accuracy_error/limit:3D8/boolq": 0.125,
        "asked/shots/limit:3D8/boolq": 0,
        "asked/shots/limit:3D8/mmlu": 5,
    }
    assert {key: value for key, value in run.data.tags.items() if key.startswith("asked")} == {
        "asked.harness": "lm_eval 0.4.13",
        "asked.version.boolq": "2.0",
        "asked.version.mmlu": "2",
    }
    enter_evaluated(replace(finished("f"), run_id=run.info.run_id), replace(found, harness="lm_eval 0.5"))
    (later,) = runs(MlflowClient(), "tags.fingerprint = 'f'")
    assert later.data.tags["asked.harness"] == "lm_eval 0.5"


def test_a_run_that_mlflow_lacks_is_one_line(store: Path) -> None:
    with pytest.raises(UserError, match="MLflow: run gone cannot be added to") as refused:
        enter_evaluated(replace(finished("f"), run_id="gone"), evaluated(0.5))
    assert "\n" not in str(refused.value)
