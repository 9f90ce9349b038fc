"""MLflow's store as its pages need it: its address, and those of files that were moved."""

import os

from mta_lab.tracking.place import DEFAULT_STORE, follow


def store_address() -> str:
    """Return the store that MLFLOW_TRACKING_URI names, or the default one."""
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)


def is_default(store: str) -> bool:
    """Return whether a store is the default one, which lies in this directory."""
    return store == DEFAULT_STORE


def files_followed(store: str) -> str:
    """Let addresses of files follow a directory that was moved; return a line, or nothing.

    Raises sqlite3.Error where the database is damaged.
    """
    return follow(store)
