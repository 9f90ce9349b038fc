"""Keep the files of MLflow's runs in `mlruns` here, also after this directory was moved or copied.

MLflow keeps absolute addresses in its database, and has no call that changes them.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from mta_lab.words import counted
from mta_lab.workspace import MLFLOW_DATABASE, MLFLOW_FILES, again

FOLDER = MLFLOW_FILES.name
DEFAULT_STORE = f"sqlite:///{MLFLOW_DATABASE}"
WAIT = 10  # seconds for a database that another process has locked
DEFAULT_EXPERIMENT = 0  # MLflow's own, in every database


class Elsewhere(NamedTuple):
    """An address in another directory than this one."""

    key: int | str
    """id of the run or the experiment"""
    directory: Path
    here: Path
    """the same file or folder, in this directory"""


def name_default_store() -> None:
    """Name MLflow's default store where this directory's path has characters that URLs quote.

    MLflow would make a folder named `a%20b` beside `a b` otherwise.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI") and quote(str(Path.cwd())) != str(Path.cwd()):
        os.environ["MLFLOW_TRACKING_URI"] = DEFAULT_STORE


class StoreError(Exception):
    """An SQLite file that cannot be MLflow's database."""


def refuse_unusable(store: str) -> None:
    """Refuse a store whose SQLite file cannot be opened, which MLflow tries for a hundred seconds.

    Raises:
        StoreError: the file cannot be opened, or is not a database.
    """
    file = _sqlite_file(store)
    if not file or not file.parent.is_dir():
        return
    try:
        if file.exists() and not file.is_file():
            raise sqlite3.Error("it is not a file")
        with closing(sqlite3.connect(file, timeout=WAIT)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        damaged = f"if it is damaged, move it away, and `{again('mta-lab sync')}` fills a new one"
        said = "another process holds it" if error.args == ("database is locked",) else damaged
        raise StoreError(f"{file}: {error}; {said}") from None


def make_whole(store: str) -> None:
    """Make the SQLite file of a store where there is none yet, whole or not at all.

    MLflow makes its tables one by one, and refuses from then on what a kill leaves of them.
    """
    file = _sqlite_file(store)
    if not file or not file.parent.is_dir() or file.exists():
        return
    stores = import_module("mlflow.store.tracking.sqlalchemy_store")  # by name: slow, and for a first launch alone
    with TemporaryDirectory(prefix=f"{file.name}.", suffix=".tmp", dir=file.parent) as folder:
        made = Path(folder, file.name)
        stores.SqlAlchemyStore(f"sqlite:///{made}", FOLDER).engine.dispose()
        try:
            os.link(made, file)
        except FileExistsError:
            pass  # another process was quicker, and may have written into its own
        except OSError:  # a file system without links
            made.rename(file)


def files_address() -> str:
    """Return the address of this directory's files, quoted as MLflow reads it.

    A folder may be named `a%25b`.
    """
    return (Path.cwd() / FOLDER).as_uri()


def follow(store: str) -> str:
    """Make the addresses in this directory's own database point here; return a line on it.

    The line is empty if nothing had to be changed. A run whose files are not here keeps its
    address. A database in another directory is not changed.
    """
    database = _database(store)
    if not database:
        return ""
    with closing(sqlite3.connect(database, timeout=WAIT)) as connection, connection:
        moved = _elsewhere(connection.execute("SELECT experiment_id, artifact_location FROM experiments"))
        if not moved:
            return ""
        runs = _elsewhere(connection.execute("SELECT run_uuid, artifact_uri FROM runs"))
        runs = [run for run in runs if run.here.exists()]
        connection.executemany("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", _changes(moved))
        connection.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", _changes(runs))
    before = sorted({str(one.directory) for one in moved if one.key != DEFAULT_EXPERIMENT})
    if not before:
        return ""
    files = f"the files of its {counted(len(runs), 'run')} are read and written here from now on"
    return f"MLflow: {database.name} comes from {', '.join(before)}; {files}"


def _database(store: str) -> Path | None:
    """Return the SQLite file of a store, if it is in this directory."""
    file = _sqlite_file(store)
    file = file.resolve() if file else None
    return file if file and file.parent == Path.cwd() and file.exists() else None


def _sqlite_file(store: str) -> Path | None:
    """Return the file of an SQLite store, whether it exists or not; None for any other store."""
    name = unquote(urlsplit(store).path[1:]) if store.startswith("sqlite:") else ""
    return Path(name) if name else None


def _elsewhere(rows: Iterable[tuple[int | str, str | None]]) -> list[Elsewhere]:
    """Return the addresses that are in `mlruns` of another directory."""
    found = []
    for key, address in rows:
        parts = _path(address or "").parts
        if FOLDER not in parts:
            continue
        at = len(parts) - 1 - parts[::-1].index(FOLDER)
        directory = Path(*parts[:at])
        if directory != Path.cwd():
            found.append(Elsewhere(key, directory, Path.cwd().joinpath(*parts[at:])))
    return found


def _path(address: str) -> Path:
    """Return the path of a local address, quoted with or without `file:`; empty for any other."""
    parts = urlsplit(address) if address.startswith("file:") else None
    if address.startswith("/") or (parts and not parts.netloc):
        return Path(url2pathname(parts.path if parts else address))
    return Path()


def _changes(found: Iterable[Elsewhere]) -> list[tuple[str, int | str]]:
    return [(one.here.as_uri(), one.key) for one in found]
