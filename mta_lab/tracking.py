"""MLflow: an experiment a sweep, a parent run a launch, a child run a cell. The only importer of mlflow.

The store is MLflow's default, `./mlflow.db`, or what MLFLOW_TRACKING_URI names. Results do not depend on it: when
MLflow fails, that is said once and the training goes on.
"""

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from mta_lab.config import RunConfig, flatten, plain
from mta_lab.errors import described
from mta_lab.records import Record
from mta_lab.training.result import Progress

P = ParamSpec("P")

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # opens on the training runs, not on traces
    "mlflow.experiment.primaryMetric.greaterIsBetter": "false",
}
COST = ("tokens_per_second", "seconds", "training_seconds", "peak_memory", "flops_per_token", "parameters")


def _tolerant(method: Callable[Concatenate["Tracker", P], None]) -> Callable[Concatenate["Tracker", P], None]:
    """Say an MLflow failure once and give up tracking, instead of ending the sweep."""

    @functools.wraps(method)
    def wrapped(self: "Tracker", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.broken:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # a missing driver, a server away, a full disk: none may end the training
            self.broken = True
            self._say(f"MLflow failed, tracking stops here, results go on ({described(error)})")

    return wrapped


class Tracker:
    """The MLflow runs of one launch of a sweep."""

    def __init__(self, experiment: str, say: Callable[[str], None]) -> None:
        # A server that is away then costs seconds, not minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.broken = False
        self._say = say
        self._experiment = experiment
        self._experiment_id = ""
        self._parent = ""
        self._runs: dict[str, str] = {}
        self._pending: dict[str, list[Metric]] = {}

    def run_id(self, fingerprint: str) -> str:
        """The run of a cell, or an empty string where MLflow has none."""
        return self._runs.get(fingerprint, "")

    @_tolerant
    def start(self, name: str, tags: Mapping[str, str], quantity: str = "perplexity") -> None:
        """Open the experiment, whose cells are scored by `quantity`, and this launch's parent run."""
        self._client = MlflowClient()
        known = self._client.get_experiment_by_name(self._experiment)
        experiment_tags = {**EXPERIMENT_TAGS, "mlflow.experiment.primaryMetric.name": f"val/{quantity}"}
        self._experiment_id = (
            known.experiment_id if known else self._client.create_experiment(self._experiment, tags=experiment_tags)
        )
        self._parent = self._client.create_run(self._experiment_id, run_name=name, tags=dict(tags)).info.run_id

    @_tolerant
    def start_cell(self, fingerprint: str, name: str, config: RunConfig, tags: Mapping[str, str]) -> None:
        """Open the run of a cell below the parent run; its flattened configuration becomes the params."""
        self._open(fingerprint, name, config, tags)

    @_tolerant
    def adopt(self, record: Record, name: str, config: RunConfig, tags: Mapping[str, str]) -> None:
        """Enter a cell that another sweep finished as a run of this one, unless the experiment has it already."""
        finished = f"attributes.status = 'FINISHED' and tags.fingerprint = '{record.fingerprint}'"
        if self._client.search_runs([self._experiment_id], finished, max_results=1):
            return
        self._open(record.fingerprint, name, config, tags)
        now = _milliseconds()
        points = [Metric("train/loss", loss, now, int(step)) for step, loss in record.losses]
        score = f"val/{record.quantity}"
        points += [Metric(score, value, now, int(step)) for step, value in record.validations]
        last = int(record.validations[-1][0])
        points += [Metric(f"{score}/{domain}", value, now, last) for domain, value in record.domains.items()]
        self._pending[record.fingerprint] += points
        self._close(record)

    @_tolerant
    def progress(self, fingerprint: str, progress: Progress) -> None:
        """Note a point of the curves; points are written in batches, with each validation."""
        values = {"train/loss": progress.loss}
        if validation := progress.validation:
            score = f"val/{validation.quantity}"
            values = {f"{score}/{name}": value for name, value in validation.domains.items()}
            values[score] = validation.score
        now = _milliseconds()
        points = self._pending.setdefault(fingerprint, [])
        points += [Metric(key, value, now, progress.step) for key, value in values.items()]
        if progress.validation:
            self._flush(fingerprint)

    @_tolerant
    def end_cell(self, record: Record) -> None:
        """Close the run of a finished cell with what its record says of its cost."""
        self._close(record)

    @_tolerant
    def fail_cell(self, fingerprint: str, status: str, traceback: str) -> None:
        """Close the run of a cell that FAILED or was KILLED, its traceback as an artifact."""
        self._flush(fingerprint)
        run_id = self._runs[fingerprint]
        self._client.log_text(run_id, traceback, "traceback.txt")
        self._client.set_terminated(run_id, status)

    @_tolerant
    def prune_cell(self, fingerprint: str) -> None:
        """Close the run of a trial that was ended early; MLflow has no state for it but KILLED, a tag says which."""
        self._flush(fingerprint)
        self._client.set_tag(self._runs[fingerprint], "trial_state", "PRUNED")
        self._client.set_terminated(self._runs[fingerprint], "KILLED")

    @_tolerant
    def end(self, status: str, note: str) -> None:
        """Close the launch's parent run, with the table as its note."""
        self._client.log_batch(self._parent, tags=[RunTag(MLFLOW_RUN_NOTE, note)])
        self._client.set_terminated(self._parent, status)

    def _open(self, fingerprint: str, name: str, config: RunConfig, tags: Mapping[str, str]) -> None:
        labels = {**tags, MLFLOW_PARENT_RUN_ID: self._parent, MLFLOW_RUN_NAME: name}
        run_id = self._client.create_run(self._experiment_id, run_name=name, tags=labels).info.run_id
        params = [Param(key, v if isinstance(v, str) else json.dumps(v)) for key, v in flatten(config).items()]
        self._client.log_batch(run_id, params=params)
        self._client.log_dict(run_id, plain(config), "config.yaml")
        self._runs[fingerprint] = run_id
        self._pending[fingerprint] = []

    def _close(self, record: Record) -> None:
        now = _milliseconds()
        facts = {key: getattr(record, key) for key in COST}
        facts |= {f"scored/{domain}": count for domain, count in record.scored.items()}
        points = [Metric(key, float(value), now, 0) for key, value in facts.items() if value is not None]
        self._pending[record.fingerprint] += points
        self._flush(record.fingerprint)
        run_id = self._runs[record.fingerprint]
        self._client.set_tag(run_id, "implementation", record.implementation)
        self._client.set_terminated(run_id, "FINISHED")

    def _flush(self, fingerprint: str) -> None:
        points = self._pending[fingerprint]
        self._pending[fingerprint] = []
        if points and fingerprint in self._runs:
            self._client.log_batch(self._runs[fingerprint], metrics=points)


def _milliseconds() -> int:
    """Now, as MLflow counts time."""
    return time.time_ns() // 1_000_000
