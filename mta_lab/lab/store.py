"""Find MLflow's store, and correct the addresses of files that were moved."""

import os

from mta_lab.tracking.place import DEFAULT_STORE, follow


def store_address() -> str:
    """Return the store that MLFLOW_TRACKING_URI names, or the default one."""
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)


def is_default(store: str) -> bool:
    """Return True if a store is the default one, in this directory."""
    return store == DEFAULT_STORE


def files_followed(store: str) -> str:
    """Correct the addresses of files after this directory was moved; return a line on it, or "".

    Raises:
        sqlite3.Error: the database is damaged.
    """
    return follow(store)
