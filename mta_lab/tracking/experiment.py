"""One MLflow experiment: what it holds, and how runs are written. Every call raises whatever MLflow raises."""

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from mta_lab.config import flatten, plain
from mta_lab.records import Failure, Record
from mta_lab.tracking.entries import Contents, Entry, Launch, Shown
from mta_lab.tracking.summary import metrics
from mta_lab.tracking.view import VIEW_TAG, view

T = TypeVar("T")

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # opens on the training runs, not on traces
    "mlflow.experiment.primaryMetric.greaterIsBetter": "false",
}
COST = ("tokens_per_second", "seconds", "training_seconds", "peak_memory", "flops_per_token", "parameters")
PAGE = 1000  # runs a question; a server sends all that it knows of each
METRICS, PARAMS = 1000, 100  # and tags as params: MLflow takes no more at once
SECONDS = 10  # that a server has for an answer; one more try follows


class Experiment:
    """The runs of one experiment, written for the results directory that is called `results`."""

    def __init__(self, name: str, results: str) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS))
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # two lines a run, with the store's password
        for library in ("alembic", "mlflow", "urllib3"):  # what goes wrong is raised too, and said once by who calls
            logging.getLogger(library).setLevel(logging.CRITICAL)
        self.name, self._results = name, results
        self._client = MlflowClient()
        known = self._client.get_experiment_by_name(name)
        self._id = known.experiment_id if known else ""

    def contents(self) -> Contents:
        """What it holds, asked for all runs together."""
        found, token = Contents(), None
        while self._id:
            page = self._client.search_runs([self._id], "attributes.status != 'KILLED'", 1, PAGE, page_token=token)
            for run in page:
                self._sort(run, found)
            token = page.token
            if not token:
                break
        return found

    def show(self, launch: Launch) -> None:
        """Give the experiment, if it is there, its view."""
        if self._id:
            self._client.set_experiment_tag(self._id, VIEW_TAG, view(self.name, launch.quantity, launch.params))

    def start_launch(self, launch: Launch) -> str:
        """Open the parent run of a launch, in an experiment that is created unless it is there."""
        if not self._id:
            tags = {**EXPERIMENT_TAGS, "mlflow.experiment.primaryMetric.name": f"val/{launch.quantity}"}
            self._id = self._client.create_experiment(self.name, tags=tags)
        self.show(launch)
        labels = {**launch.tags, "results": self._results}
        return str(self._client.create_run(self._id, run_name=launch.name, tags=labels).info.run_id)

    def end_launch(self, run_id: str, status: str, shown: Shown, files: Mapping[str, str]) -> None:
        """Close the parent run of a launch; `files` are what `shown.files` made."""
        self._client.log_batch(run_id, tags=[RunTag(MLFLOW_RUN_NOTE, shown.note)])
        self.log(run_id, metrics(shown.summary, now()))
        for path, text in files.items():
            self._client.log_text(run_id, text, path)
        self._client.set_terminated(run_id, status)

    def start(self, entry: Entry, parent: str, milliseconds: int | None = None) -> str:
        """Open the run of a cell; what its entry names of its flattened configuration becomes the params."""
        labels = {**entry.tags, "fingerprint": entry.fingerprint, "results": self._results, MLFLOW_RUN_NAME: entry.name}
        if parent:
            labels[MLFLOW_PARENT_RUN_ID] = parent
        run = self._client.create_run(self._id, start_time=milliseconds, run_name=entry.name, tags=labels)
        run_id = str(run.info.run_id)
        shown = {key: v for key, v in flatten(entry.config).items() if entry.params is None or key in entry.params}
        params = [Param(key, v if isinstance(v, str) else json.dumps(v)) for key, v in shown.items()]
        for some in _slices(params, PARAMS):
            self._client.log_batch(run_id, params=some)
        self._client.log_dict(run_id, plain(entry.config), "config.yaml")
        if read := entry.tags.get("data"):
            self._client.log_inputs(run_id, [_dataset(plain(entry.config)["data"], read)])
        return run_id

    def log(self, run_id: str, points: Sequence[Metric]) -> None:
        """Write points of curves."""
        for some in _slices(points, METRICS):
            self._client.log_batch(run_id, metrics=some)

    def finish(self, run_id: str, record: Record, points: Sequence[Metric] = (), at: int | None = None) -> None:
        """Close the run of a finished cell with what its record says of its cost and origin."""
        at = at or now()
        facts = {key: getattr(record, key) for key in COST}
        facts |= {f"scored/{domain}": count for domain, count in record.scored.items()}
        costs = [Metric(key, float(value), at, 0) for key, value in facts.items() if value is not None]
        self.log(run_id, [*points, *costs])
        origin = {"implementation": record.implementation, **record.provenance}
        self._tag(run_id, {**origin, **_attempts(record)})
        self._client.set_terminated(run_id, "FINISHED", at)

    def fail(self, run_id: str, failure: Failure) -> None:
        """Close the run of a failed cell, its traceback as an artifact."""
        self._client.log_text(run_id, failure.traceback, "traceback.txt")
        self._tag(run_id, {"failure": failure.kind, "reason": failure.reason, **_attempts(failure)})
        self._client.set_terminated(run_id, "FAILED")

    def kill(self, run_id: str, tags: Mapping[str, str] | None = None) -> None:
        """Close a run that came to no end; MLflow has one state for all of these, so that tags say which."""
        self._tag(run_id, tags or {})
        self._client.set_terminated(run_id, "KILLED")

    def enter(self, entry: Entry, result: Record | Failure, parent: str = "") -> None:
        """Enter a cell that has ended as a whole run, with the times and the code of then."""
        if isinstance(result, Failure):
            self.fail(self.start(entry, parent), result)
            return
        end = _milliseconds(result.provenance.get("finished"))
        entry = replace(entry, config=entry.config or result.config)
        run_id = self.start(entry, parent, end - round(1000 * result.seconds))
        self.finish(run_id, result, curves(result, end), end)

    def _tag(self, run_id: str, values: Mapping[str, Any]) -> None:
        for some in _slices([RunTag(key, str(value)) for key, value in values.items()], PARAMS):
            self._client.log_batch(run_id, tags=some)

    def _sort(self, run: Run, found: Contents) -> None:
        tags = run.data.tags
        fingerprint = tags.get("fingerprint")
        if fingerprint and run.info.status == "FINISHED":
            found.finished.add(fingerprint)
        elif fingerprint and run.info.status == "FAILED":
            found.failed.setdefault(fingerprint, set()).add(tags.get("reason", ""))
        elif run.info.status == "RUNNING" and "sweep" in tags and tags.get("results", self._results) == self._results:
            found.running[run.info.run_id] = _left_open(run) if fingerprint else None


def curves(record: Record, at: int) -> list[Metric]:
    """The training and validation curves of a record, and its last score by domain."""
    score, last = f"val/{record.quantity}", int(record.validations[-1][0])
    return [
        *(Metric("train/loss", loss, at, int(step)) for step, loss in record.losses),
        *(Metric(score, value, at, int(step)) for step, value in record.validations),
        *(Metric(f"{score}/{domain}", value, at, last) for domain, value in record.domains.items()),
    ]


def _dataset(data: Mapping[str, Any], content_hash: str) -> DatasetInput:
    """The text that a run reads, as MLflow shows it."""
    name, source = data["corpus"], json.dumps({"corpus": data["corpus"], "path": data["path"]})
    dataset = Dataset(name=data["path"] or name, digest=content_hash[:16], source_type="mta-lab", source=source)
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])


def now() -> int:
    """Now, as MLflow counts time: in milliseconds."""
    return time.time_ns() // 1_000_000


def _attempts(result: Record | Failure) -> dict[str, str]:
    """Each failed attempt at a cell as a tag: `attempt.1` and so on."""
    return {f"attempt.{n}": f"{one.kind}: {one.reason}" for n, one in enumerate(result.attempts, start=1)}


def _slices(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _milliseconds(finished: Any) -> int:
    """The time in a record's provenance; now where it has none."""
    return round(1000 * datetime.fromisoformat(finished).timestamp()) if finished else now()


def _left_open(run: Run) -> Entry:
    """The cell of a run that nobody writes to any more."""
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    return Entry(fingerprint=tags["fingerprint"], name=run.info.run_name, config=None, tags=tags)
