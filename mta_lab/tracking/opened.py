"""Read a run in MLflow's store."""

import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from mta_lab.errors import UserError, described
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Record
from mta_lab.tracking.place import name_default_store
from mta_lab.tracking.written import asked, asked_by, note

__all__ = ["Run", "describe_run", "enter_evaluated", "open_run"]

A_CALL, TAGS_A_CALL = 1000, 100  # metrics that MLflow takes at once, and tags


def open_run(run_id: str) -> Run:
    """Return the MLflow run with this id.

    Raises:
        UserError: MLflow has no such run, or does not answer.
    """
    name_default_store()
    try:
        return MlflowClient().get_run(run_id)
    except MlflowException as error:
        raise UserError(f"MLflow: run {run_id} cannot be read: {described(error)}") from None


def enter_evaluated(record: Record, evaluated: Evaluated) -> None:
    """Add what a finished run came to by an evaluation to its MLflow run.

    Raises:
        UserError: MLflow has no such run, or does not answer.
    """
    name_default_store()
    at, last = time.time_ns() // 1_000_000, int(record.validations[-1][0])
    points = [Metric(key, value, at, last) for key, value in asked(evaluated).items()]
    tags = [RunTag(*tag) for tag in asked_by(evaluated).items()]
    try:
        client = MlflowClient()
        for start in range(0, len(points), A_CALL):
            client.log_batch(record.run_id, metrics=points[start : start + A_CALL])
        for start in range(0, len(tags), TAGS_A_CALL):
            client.log_batch(record.run_id, tags=tags[start : start + TAGS_A_CALL])
    except Exception as error:  # a store or a server may raise anything
        raise UserError(f"MLflow: run {record.run_id} cannot be added to: {described(error)}") from None


def describe_run(run_id: str, text: str) -> None:
    """Make a text the description of an MLflow run.

    Raises:
        UserError: MLflow has no such run, or does not answer.
    """
    name_default_store()
    try:
        MlflowClient().set_tag(run_id, MLFLOW_RUN_NOTE, note(text))
    except Exception as error:  # a store or a server may raise anything
        raise UserError(f"MLflow: run {run_id} cannot be described: {described(error)}") from None
