"""List the views of sweeps on MLflow's pages."""

from mta_lab.tracking.view import addresses


def views(store: str, server: str) -> list[tuple[str, str]]:
    """Return the sweeps in `store` that have a view, with its address on the pages at `server`.

    MLflow raises errors of many kinds where it cannot read the store.
    """
    return addresses(store, server)
