"""Notes on runs are their descriptions in MLflow."""

from pathlib import Path

from mlflow import MlflowClient

from mta_lab.results.notes import write_note
from mta_lab.results.records import Records
from mta_lab.tracking.opened import describe_run
from mta_lab.tracking.sync import sync
from tests.tracking.launches import LAUNCH, entry, finished

DESCRIPTION = "mlflow.note.content"


def test_a_note_is_the_description_of_its_run_from_the_next_sync_on(store: Path) -> None:
    records, said = Records(), list[str]()
    for name in ("a", "b"):
        records.finish(finished(name))
    write_note(records.directory, "a", "the loss jumps")
    sync("table nano", LAUNCH, [entry("a"), entry("b")], records, said.append)
    write_note(records.directory, "b", "as it should be")
    sync("table nano", LAUNCH, [entry("a"), entry("b")], records, said.append)
    client = MlflowClient()
    found = client.get_experiment_by_name("table nano")
    assert found
    runs = {run.data.tags["fingerprint"]: run for run in client.search_runs([found.experiment_id], "tags.row LIKE '%'")}
    assert {name: run.data.tags[DESCRIPTION] for name, run in runs.items()} == {
        "a": "the loss jumps",
        "b": "as it should be",
    }
    describe_run(runs["a"].info.run_id, "it does not")
    assert client.get_run(runs["a"].info.run_id).data.tags[DESCRIPTION] == "it does not"
    assert said == []
