"""`mta-lab dashboard`: MLflow's pages over the default store, or that of MLFLOW_TRACKING_URI."""

import os
import shlex
import sqlite3
import sys
import sysconfig
from contextlib import suppress
from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.children import python
from mta_lab.errors import UserError
from mta_lab.workspace import MLFLOW_DATABASE

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="port to listen on")] = 5000,
    host: Annotated[str, typer.Option(help="address to listen on; any but this machine's own gives a warning")] = (
        "127.0.0.1"
    ),
) -> None:
    """Open MLflow's pages over the runs, for this machine only."""
    store = lab.store.store_address()
    if store.startswith(("http://", "https://")):
        raise UserError(f"dashboard: MLFLOW_TRACKING_URI names a server that runs already; open {store} in a browser")
    if lab.store.is_default(store) and not MLFLOW_DATABASE.exists():
        raise UserError(f"dashboard: no {MLFLOW_DATABASE} here; run a sweep first")
    if host not in LOOPBACK:
        risk = "everyone who can reach this address can read, change and delete the runs; no password is asked for"
        print(f"mta-lab: warning: --host {host}: {risk}", file=sys.stderr)
    _follow(store)
    address = f"http://{host}:{port}"
    print(f"starting MLflow at {address}; it answers in some seconds (Ctrl-C ends it)", flush=True)
    for name, view in _views(address, store):
        print(f"{name}: {view}", flush=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store  # not among the arguments, which every user of the machine can list
    # The server and MLflow's runner of runs both look for modules in the current folder.
    options = f"--app-dir {shlex.quote(sysconfig.get_path('stdlib'))}"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = python("-m", "mlflow", "ui", "--host", host, "--port", str(port), "--uvicorn-opts", options)
    os.execv(command[0], command)  # so that signals reach MLflow


def _follow(store: str) -> None:
    """Let the addresses of files follow a directory that was moved.

    Where the database itself is at fault, MLflow says it.
    """
    with suppress(sqlite3.Error):
        if moved := lab.store.files_followed(store):
            print(f"mta-lab: {moved}", file=sys.stderr)


def _views(address: str, store: str) -> list[tuple[str, str]]:
    """Return the sweeps in the store with their views; none where the store cannot be read.

    MLflow then says why.
    """
    with suppress(Exception):
        return lab.views.views(store, address)
    return []
