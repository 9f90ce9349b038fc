"""Read the user's files for an evaluation: JSON, lines of JSON, or Parquet.

Each holds records with texts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyarrow import parquet

from components.evaluations import HarnessEvaluation
from components.evaluations.questions import TextEvaluation
from mta_lab.errors import UserError, described
from mta_lab.strict import FaultError, as_json, content

Records = Sequence[Mapping[str, str]]
PARQUET = ".parquet"


def records_of(evaluation: TextEvaluation) -> dict[str, Records]:
    """Return the records of each file that an evaluation reads; none where it has no `path`.

    A harness reads its files itself.

    Raises:
        UserError: a file is missing, cannot be read, or a record lacks a text.
    """
    if evaluation.path is None or isinstance(evaluation, HarnessEvaluation):
        return {}
    return {name: _records(file, evaluation) for name, file in _files(evaluation).items()}


def files_digest(evaluation: TextEvaluation) -> str:
    """Return a hash over the content of the files of an evaluation; empty without any."""
    if evaluation.path is None:
        return ""
    found = hashlib.sha256()
    files = _below(evaluation) if isinstance(evaluation, HarnessEvaluation) else _files(evaluation)
    for name, file in sorted(files.items()):
        try:
            found.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        except OSError as error:
            raise UserError(f"{evaluation.name}: path: {file} cannot be read ({error.strerror})") from None
    return found.hexdigest()[:16]


def _files(evaluation: TextEvaluation) -> dict[str, Path]:
    assert evaluation.path is not None
    home = Path(evaluation.path).expanduser()
    return {name: _file(evaluation, home, name) for name in evaluation.files()}


def _below(evaluation: TextEvaluation) -> dict[str, Path]:
    """Return the files of a folder with a harness's tasks, but for what Python leaves there."""
    assert evaluation.path is not None
    home = Path(evaluation.path).expanduser()
    found = {str(file.relative_to(home)): file for file in home.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    if not any(file.suffix == ".yaml" for file in found.values()):
        raise UserError(f"{evaluation.name}: path: got '{home}', allowed: a folder with tasks as .yaml files")
    return found


def _file(evaluation: TextEvaluation, home: Path, name: str) -> Path:
    """Return the file of a name such as `qa1/0k`: JSON, or Parquet as a hub lays it out."""
    if not name:
        if home.is_file():
            return home
        raise UserError(f"{evaluation.name}: path: got '{home}', allowed: a file of JSON lines, each with a text")
    folder, _, stem = name.rpartition("/")
    plain = home / f"{name}.json"
    if plain.is_file():
        return plain
    shards = [*home.glob(f"{name}*{PARQUET}"), *home.glob(f"{stem}/{folder}*{PARQUET}")]
    shards += home.glob(f"{stem}/{folder}/*{PARQUET}")
    if len(shards) == 1:
        return shards[0]
    if shards:
        raise UserError(f"{evaluation.name}: path: {shards[0]} is one of several parts; join them in one file")
    raise UserError(
        f"{evaluation.name}: path: {home} has no {name}.json, nor a Parquet file of it; add it, or choose others"
    )


def _records(file: Path, evaluation: TextEvaluation) -> Records:
    try:
        found = _parquet(file) if file.suffix == PARQUET else _json(file)
    except (FaultError, OSError) as error:
        raise UserError(f"{evaluation.name}: path: {file} cannot be read ({error})") from None
    for place, record in enumerate(found, start=1):
        missing = [
            name for name in evaluation.reads if not isinstance(record, dict) or type(record.get(name)) is not str
        ]
        if missing:
            raise UserError(f"{evaluation.name}: path: {file}: record {place} has no text '{missing[0]}'")
    if not found:
        raise UserError(f"{evaluation.name}: path: {file}: is empty")
    return found


def _json(file: Path) -> list[Any]:
    """Return the records of a JSON list, or of lines that hold one each."""
    data = content(file)
    if data.lstrip().startswith(b"["):
        found = as_json(data)
        assert isinstance(found, list)
        return found
    return [as_json(line) for line in data.splitlines() if line.strip()]


def _parquet(file: Path) -> list[Any]:
    try:
        return list(parquet.read_table(file).to_pylist())
    except Exception as error:  # the library raises its own kinds
        raise FaultError(described(error)) from None
