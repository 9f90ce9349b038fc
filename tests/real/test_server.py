"""The tracker on MLflow's own server holds what it holds on a database."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.results.records import Records
from mta_lab.tracking.sync import Synced
from tests.real.test_dashboard import free_port
from tests.real.test_outage import server
from tests.tracking.launches import PARENTS
from tests.tracking.test_deleted import RESTORED, assert_whole, delete_experiment, delete_run, launch, synced

pytestmark = pytest.mark.real


def test_what_is_deleted_on_a_server_is_restored_or_entered_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mta_lab.tracking.tracker.PAUSE", 0.1)
    monkeypatch.setattr("mta_lab.tracking.tracker.PATIENCE", 300.0)
    port, records = free_port(), Records()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with server(tmp_path, port):
        failed, mended = launch(records, "ab", lambda: delete_experiment(for_good=False))
        assert failed.startswith("MLflow failed; the training goes on")
        assert mended == RESTORED
        delete_experiment(for_good=False)
        assert synced(records, "ab") == (Synced(), [RESTORED])
        delete_run("tags.fingerprint = 'b' AND attributes.status = 'FINISHED'")
        delete_run(PARENTS)
        done, said = synced(records, "ab")
        assert done == Synced(finished=1)
        assert said == ["MLflow: run 'table nano' had been deleted; it is restored"]
        assert_whole(records, "ab")
        experiment = MlflowClient().get_experiment_by_name("table")
        assert experiment
        assert experiment.artifact_location.startswith("mlflow-artifacts:"), "the server says where files are"
    assert not (tmp_path / "mlruns").exists()
