"""Read a run in MLflow's store."""

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from mta_lab.errors import UserError, described
from mta_lab.tracking.place import name_default_store

__all__ = ["Run", "open_run"]


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
