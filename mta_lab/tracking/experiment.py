"""Read and write one MLflow experiment. Every call raises whatever MLflow raises."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import LifecycleStage, Metric, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from mta_lab.config import flatten, plain
from mta_lab.config.tree import as_yaml
from mta_lab.results.records import Failure, Record
from mta_lab.tracking.entries import Contents, Launch, LaunchSummary, TrackedRun
from mta_lab.tracking.keys import shortened
from mta_lab.tracking.place import files_address, follow, make_whole, name_default_store, refuse_unusable
from mta_lab.tracking.summary import metrics
from mta_lab.tracking.view import VIEW_TAG, view
from mta_lab.tracking.written import asked_by, attempts, costs, curves, dataset, labels, note, params

T = TypeVar("T")

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # MLflow's page opens on training runs, not on traces
    "mlflow.experiment.primaryMetric.greaterIsBetter": "false",
}
PAGE = 1000  # runs a query; a server sends all that it has on each
METRICS, PARAMS = 1000, 100  # MLflow takes no more in one call; of tags as of params
NAME = 250  # characters of a run's name, which every database takes
SECONDS = 10  # that a server has to answer, at each of two tries


class Experiment:
    """The runs of one experiment, written for the results directory `results`.

    An experiment that was deleted on MLflow's pages is restored, one of an earlier version is
    renamed; `say` reports both.
    """

    def __init__(self, name: str, launch: Launch, results: str, say: Callable[[str], None]) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS))
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # else two lines a run, with the store's password
        for library in ("alembic", "mlflow", "urllib3"):  # errors are raised, and the caller reports them once
            logging.getLogger(library).setLevel(logging.CRITICAL)
        self.name, self._launch, self._results, self._say = name, launch, results, say
        name_default_store()
        refuse_unusable(get_tracking_uri())
        make_whole(get_tracking_uri())
        self._client = MlflowClient()
        known = self._client.get_experiment_by_name(name) or self._renamed()
        self._id = known.experiment_id if known else ""
        if known and known.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_experiment(self._id)
            say(f"MLflow: experiment '{name}' had been deleted; it is restored")
        if moved := follow(self._client.tracking_uri):
            say(moved)

    @property
    def exists(self) -> bool:
        """Return True if MLflow has the experiment; otherwise the start of a launch creates it."""
        return bool(self._id)

    def has(self, run_id: str) -> bool:
        """Return True if a run exists; restore it if it was deleted, unless it is gone for good."""
        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            return False
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_run(run_id)
            self._say(f"MLflow: run '{run.info.run_name}' had been deleted; it is restored")
        return True

    def contents(self) -> Contents:
        """Return the runs of the experiment, by one query for all."""
        found = Contents()
        for run in self._runs(self._id, "attributes.status != 'KILLED'") if self._id else ():
            self._sort(run, found)
        return found

    def mark(self, contents: Contents, runs: Mapping[tuple[str, str], str], notes: Mapping[str, str]) -> None:
        """Mark finished runs as stale where another run counts in their place; describe them.

        `runs` has the fingerprints that count, by (row, seed). Runs that count are tagged with the
        settings of the launch, which earlier versions did not write. `notes` has what people wrote
        down on runs, by fingerprint.
        """
        settings = self._launch.tags.get("settings")
        for run_id, tags in contents.ended.items():
            if (text := notes.get(tags["fingerprint"])) and tags.get(MLFLOW_RUN_NOTE) != note(text):
                self._client.set_tag(run_id, MLFLOW_RUN_NOTE, note(text))
            counts = runs.get((tags.get("row", ""), tags.get("seed", "")))
            if counts == tags["fingerprint"]:
                if "stale" in tags:
                    self._client.delete_tag(run_id, "stale")
                if settings and "settings" not in tags:
                    self._tag(run_id, {"settings": settings})
            elif counts and "stale" not in tags:
                self._client.set_tag(run_id, "stale", "yes")

    def show(self) -> None:
        """Give the experiment its view, if it exists."""
        if self._id:
            shown = view(self.name, self._launch.metric, self._launch.params)
            self._client.set_experiment_tag(self._id, VIEW_TAG, shown)

    def start_launch(self) -> str:
        """Open the launch's parent run and return its id; create a missing experiment first."""
        launch = self._launch
        if not self._id:
            tags = {**EXPERIMENT_TAGS, "mlflow.experiment.primaryMetric.name": f"val/{launch.metric.name}"}
            own = self._client.tracking_uri.partition(":")[0].partition("+")[0] in DATABASE_ENGINES
            self._id = self._client.create_experiment(self.name, files_address() if own else None, tags)
        self.show()
        return self._create_run(launch.name, {**launch.tags, "results": self._results})

    def end_launch(self, run_id: str, status: str, shown: LaunchSummary, files: Mapping[str, str]) -> None:
        """Close the parent run of a launch; `files` is what `shown.files` returned."""
        self._client.set_tag(run_id, MLFLOW_RUN_NOTE, note(shown.note))
        self.log(run_id, metrics(shown.summary, now()))
        for path, text in files.items():
            self._client.log_text(run_id, text, path)
        self._client.set_terminated(run_id, status)

    def start(self, entry: TrackedRun, parent: str, milliseconds: int | None = None) -> str:
        """Open a run's MLflow run, with its flattened configuration as params; return its id."""
        launch = {key: value for key, value in self._launch.tags.items() if key in ("launch", "settings")}
        tags = {**entry.tags, **launch, "fingerprint": entry.fingerprint, "results": self._results}
        if parent:
            tags[MLFLOW_PARENT_RUN_ID] = parent
        run_id = self._create_run(entry.name, tags, milliseconds)
        for some in _slices(params(flatten(entry.config)), PARAMS):
            self._client.log_batch(run_id, params=some)
        self._client.log_text(run_id, as_yaml(plain(entry.config)), "config.yaml")
        if read := entry.tags.get("data"):
            self._client.log_inputs(run_id, [dataset(entry.config, read)])
        return run_id

    def log(self, run_id: str, points: Sequence[Metric]) -> None:
        """Write points of curves."""
        for some in _slices(points, METRICS):
            self._client.log_batch(run_id, metrics=some)

    def finish(self, run_id: str, record: Record, points: Sequence[Metric] = (), at: int | None = None) -> None:
        """Close a finished run's MLflow run, with the costs and the origin in its record."""
        at = at or now()
        self.log(run_id, [*points, *costs(record, at)])
        origin = {"implementation": record.implementation, **record.provenance}
        harnesses = {key: value for one in record.evaluated.values() for key, value in asked_by(one).items()}
        self._tag(run_id, {**origin, **attempts(record), **harnesses})
        self._client.set_terminated(run_id, "FINISHED", at)

    def fail(self, run_id: str, failure: Failure) -> None:
        """Close a failed run's MLflow run, with its traceback as an artifact."""
        self._client.log_text(run_id, failure.traceback, "traceback.txt")
        self._tag(run_id, {"failure": failure.kind, "reason": failure.reason, **attempts(failure)})
        self._client.set_terminated(run_id, "FAILED")

    def kill(self, run_id: str, tags: Mapping[str, str] | None = None) -> None:
        """Close a run without a result; MLflow has one state for all of these, so tags say why."""
        self._tag(run_id, tags or {})
        self._client.set_terminated(run_id, "KILLED")

    def enter(self, entry: TrackedRun, result: Record | Failure, parent: str = "") -> None:
        """Enter a run that has ended, as a whole, with the times and the code of its record."""
        if isinstance(result, Failure):
            self.fail(self.start(entry, parent), result)
            return
        end = _milliseconds(result.provenance.get("finished"))
        entry = replace(entry, config=entry.config or result.config)
        run_id = self.start(entry, parent, end - round(1000 * result.seconds))
        self.finish(run_id, result, curves(result, end), end)

    def put_below(self, parent: str, children: Iterable[str]) -> None:
        """Put MLflow runs below the run of a launch."""
        for run_id in children:
            self._client.set_tag(run_id, MLFLOW_PARENT_RUN_ID, parent)

    def _renamed(self) -> Any:
        """Rename and return an earlier version's experiment, or None if others have runs in it."""
        former = self._client.get_experiment_by_name(self._launch.formerly) if self._launch.formerly else None
        if not former or former.lifecycle_stage == LifecycleStage.DELETED:
            return None
        ours = {key: self._launch.tags.get(key) for key in ("sweep", "scale")}
        for run in self._runs(former.experiment_id):
            if "settings" in run.data.tags or any(run.data.tags.get(key) != value for key, value in ours.items()):
                return None
        self._client.rename_experiment(former.experiment_id, self.name)
        self._say(f"MLflow: experiment '{former.name}' is renamed to '{self.name}', because each scale has its own now")
        return former

    def _runs(self, experiment: str, query: str = "") -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs([experiment], query, 1, PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create_run(self, name: str, tags: Mapping[str, str], milliseconds: int | None = None) -> str:
        name = shortened(name, NAME, "the tag row")
        shown = {**labels(tags), MLFLOW_RUN_NAME: name}
        run = self._client.create_run(self._id, start_time=milliseconds, run_name=name, tags=shown)
        return str(run.info.run_id)

    def _tag(self, run_id: str, values: Mapping[str, Any]) -> None:
        for some in _slices([RunTag(*tag) for tag in labels(values).items()], PARAMS):
            self._client.log_batch(run_id, tags=some)

    def _sort(self, run: Run, found: Contents) -> None:
        tags = run.data.tags
        fingerprint = tags.get("fingerprint")
        if fingerprint and tags.get("results", self._results) == self._results:
            found.children.setdefault(tags.get(MLFLOW_PARENT_RUN_ID, ""), []).append(run.info.run_id)
            if run.info.status == "FINISHED":
                found.ended[run.info.run_id] = tags
        if fingerprint and run.info.status == "FINISHED":
            found.finished.add(fingerprint)
        elif fingerprint and run.info.status == "FAILED":
            found.failed.setdefault(fingerprint, set()).add(tags.get("reason", ""))
        elif run.info.status == "RUNNING" and "sweep" in tags and tags.get("results", self._results) == self._results:
            found.running[run.info.run_id] = _left_open(run) if fingerprint else None


def now() -> int:
    """Return the present time in milliseconds, as MLflow counts it."""
    return time.time_ns() // 1_000_000


def _slices(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _milliseconds(finished: Any) -> int:
    """Return the time in a record's provenance in milliseconds, or the present without one."""
    return round(1000 * datetime.fromisoformat(finished).timestamp()) if finished else now()


def _left_open(run: Run) -> TrackedRun:
    """Return the run that an open MLflow run is about."""
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    return TrackedRun(fingerprint=tags["fingerprint"], name=run.info.run_name, config=None, tags=tags)
