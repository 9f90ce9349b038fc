"""The project's own records: one JSON file for each finished or failed run, under its fingerprint.

These files are the truth about what is finished; Optuna and MLflow hold copies. Every file is
written whole.
"""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from components.metrics import Scores, metric_named
from mta_lab.atomic import write_whole
from mta_lab.errors import UserError
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.failures import Attempt
from mta_lab.results.record import Failure, Record
from mta_lab.results.recorded_settings import Keys, keys_of, recorded_keys, settings_key
from mta_lab.strict import FaultError, OtherFieldsError, as_json, built, content
from mta_lab.workspace import RESULTS, in_shell

__all__ = ["DamagedError", "Failure", "OtherVersionError", "Record", "Records", "settings_key", "write_whole"]

RUN_FOLDERS = ("cells", "runs")
"""where finished runs are:
earlier versions called the folder otherwise, and what lies in theirs stays there"""
MOST = 1 << 26  # bytes of a file
R = TypeVar("R", "Record", "Failure")


class DamagedError(UserError):
    """A file of a run that cannot be used."""


class OtherVersionError(DamagedError):
    """A file with other fields than this version's."""


class Records:
    """The records below one directory."""

    def __init__(self, directory: Path = RESULTS, say: Callable[[str], None] = lambda line: None) -> None:
        """Begin; `say` hears once of each file that cannot be used, with what to do."""
        self.directory = directory
        self._say = say
        self._said = set[str]()
        self._read_before: dict[Path, tuple[tuple[int, ...], Record | Failure]] = {}

    @cached_property
    def identity(self) -> str:
        """Return 12 hex digits that name this directory wherever it is moved.

        They are made when they are first asked for.
        """
        path = self.directory / "identity"
        try:
            found = content(path, 100).decode(errors="replace").strip()
            fault = "" if re.fullmatch("[0-9a-f]{12}", found) else "it is no name of 12 hex digits"
        except (FileNotFoundError, NotADirectoryError):
            found, fault = uuid4().hex[:12], ""
            write_whole(path, found)
        except FaultError as error:
            fault = str(error)
        if fault:
            raise UserError(f"{path}: cannot be read ({fault}); delete it to make it anew: rm {in_shell(path)}")
        return found

    def finished(self, fingerprint: str) -> Record | None:
        """Return the record of a finished run, or None; raise UserError if it cannot be read."""
        return self._read(Record, "runs", fingerprint)

    def usable(self, fingerprint: str) -> Record | None:
        """Return the record of a finished run, or None, also if its file cannot be used.

        A file that cannot be used is said.
        """
        return self._or_said(self.finished, fingerprint)

    def failed(self, fingerprint: str) -> Failure | None:
        """Return the failure of a run that failed for good and has not finished since, or None."""
        failure = self._failure(fingerprint)
        return failure if failure and failure.final else None

    def attempts(self, fingerprint: str) -> Sequence[Attempt]:
        """Return the failed attempts at a run that has not finished."""
        failure = self._failure(fingerprint)
        return failure.attempts if failure else ()

    def check(self, file: Path) -> None:
        """Raise UserError if the file of a finished or failed run cannot be used."""
        if not _is_fingerprint(file.stem):
            raise UserError(f"{file}: is not called by a fingerprint")
        if file.parent.name in RUN_FOLDERS:
            self._read(Record, "runs", file.stem)
        else:
            self._read(Failure, "failed", file.stem)

    def has_finished(self, fingerprint: str) -> bool:
        """Return whether there is a record of the run, readable or not."""
        return self.file(fingerprint).exists()

    def file(self, fingerprint: str) -> Path:
        """Return the file of a finished run's record, or the one that it will have."""
        return self._path("runs", fingerprint)

    def finish(self, record: Record) -> None:
        """Keep a finished run and forget its failure, if it had one, and its checkpoints."""
        write_whole(self.file(record.fingerprint), _json(record))
        self.forget_the_way(record.fingerprint)

    def add_scores(self, fingerprint: str, metric: str, scores: Scores) -> None:
        """Keep a further evaluation of a finished run; scores of its metric that are there stay."""
        record = self.finished(fingerprint)
        if record and metric not in record.evaluations:
            further = {**record.further, metric: scores}
            write_whole(self.file(fingerprint), _json(replace(record, further=further)))

    def add_evaluated(self, fingerprint: str, evaluation: str, evaluated: Evaluated) -> None:
        """Keep what a finished run came to by an evaluation of that fingerprint."""
        record = self.finished(fingerprint)
        if record and evaluation not in record.evaluated:
            found = {**record.evaluated, evaluation: evaluated}
            write_whole(self.file(fingerprint), _json(replace(record, evaluated=found)))
        kept = self.answers(fingerprint, evaluation)
        for file in kept.parent.glob(f"{kept.name}*"):  # a killed process may have left half a file beside it
            file.unlink(missing_ok=True)

    def answers(self, fingerprint: str, evaluation: str) -> Path:
        """Return the file of the answers that an unfinished evaluation of a run has so far."""
        return self.directory / "evaluations" / f"{fingerprint}-{evaluation}.jsonl"

    def clean_up(self) -> None:
        """Remove what a launch that was killed just as a run finished left of its way there."""
        kept = [*(self.directory / "checkpoints").glob("*"), *(self.directory / "failed").glob("*.json")]
        for fingerprint in {path.stem for path in kept if _is_fingerprint(path.stem)}:
            if self.has_finished(fingerprint):
                self.forget_the_way(fingerprint)

    def forget_the_way(self, fingerprint: str) -> None:
        """Remove the failure and the checkpoints of a run that has finished."""
        self._path("failed", fingerprint).unlink(missing_ok=True)
        self.forget_checkpoints(fingerprint)

    def checkpoints(self, fingerprint: str) -> Path:
        """Return the directory of a run's checkpoints, as long as it is not finished."""
        return self.directory / "checkpoints" / fingerprint

    def weights(self, fingerprint: str) -> Path:
        """Return the file of a finished run's model.

        Runs that an earlier version finished have none.
        """
        return self.directory / "weights" / f"{fingerprint}.pt"

    def forget_checkpoints(self, fingerprint: str) -> None:
        """Remove what was kept of a run that nobody will go on with."""
        shutil.rmtree(self.checkpoints(fingerprint), ignore_errors=True)

    def fail(self, failure: Failure) -> None:
        """Keep why a run failed."""
        path = self._path("failed", failure.fingerprint)
        write_whole(path, _json(failure), private=True)  # no mask knows every secret

    def clear_failure(self, fingerprint: str) -> None:
        """Let a run that failed for good be tried again; its attempts stay known."""
        if failure := self.failed(fingerprint):
            self.fail(replace(failure, final=False))

    def all_finished(self) -> list[Record]:
        """Return every finished run of every sweep.

        Those that another version wrote, or that cannot be used, are left out.
        """
        return [record for path in self.files() if (record := self._counting(path.stem))]

    def keys(self) -> dict[str, Keys]:
        """Return the keys of each record's settings, by fingerprint.

        Records that cannot be used are left out.
        """
        return recorded_keys(self.directory / "settings.json", self.files(), self._keys_of)

    def settings(self) -> dict[str, str]:
        """Return each record's settings as a key, by fingerprint."""
        return {fingerprint: keys.settings for fingerprint, keys in self.keys().items()}

    def files(self) -> list[Path]:
        """Return the files of finished runs by fingerprint, without copies that somebody made."""
        return [path for path in run_files(self.directory) if _is_fingerprint(path.stem)]

    def _counting(self, fingerprint: str) -> Record | None:
        """Return the record among all records, where one that another version wrote is no fault."""
        try:
            return self.finished(fingerprint)
        except OtherVersionError:
            return None
        except DamagedError:
            return self.usable(fingerprint)

    def _failure(self, fingerprint: str) -> Failure | None:
        """Return a failure; None where its file cannot be used: the run is tried again."""
        return self._or_said(lambda name: self._read(Failure, "failed", name), fingerprint)

    def _or_said(self, read: Callable[[str], R | None], fingerprint: str) -> R | None:
        try:
            return read(fingerprint)
        except DamagedError as error:
            if str(error) not in self._said:
                self._said.add(str(error))
                self._say(str(error))
            return None

    def _keys_of(self, fingerprint: str) -> Keys | None:
        record = self._counting(fingerprint)
        return keys_of(record.config) if record else None

    def _path(self, kind: str, fingerprint: str) -> Path:
        if not _is_fingerprint(fingerprint):  # whatever names come from, none leaves this directory
            raise ValueError(f"not a fingerprint: {fingerprint!r}")
        path = self.directory / kind / f"{fingerprint}.json"
        earlier = self.directory / RUN_FOLDERS[0] / path.name
        return earlier if kind == "runs" and not path.exists() and earlier.exists() else path

    def _read(self, what: type[R], kind: str, fingerprint: str) -> R | None:
        path = self._path(kind, fingerprint)
        try:
            version = _version(path)
            known, before = self._read_before.get(path, ((), None))
            if version and known == version and isinstance(before, what):
                return before
            found = built(what, as_json(content(path, MOST)))
            if found.fingerprint != fingerprint:
                raise FaultError(f"it is of the run {found.fingerprint[:40]}, of which it may be a copy")
            if isinstance(found, Record) and not metric_named(found.quantity):
                raise OtherFieldsError(f"no component that is loaded here is scored by '{found.quantity}'")
            if fault := found.fault():
                raise FaultError(fault)
            self._read_before[path] = (version, found)
            return found
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            place = path.parent if self.directory.is_dir() else self.directory
            raise UserError(f"{place}: is not a directory; move it away or start elsewhere") from None
        except FaultError as error:
            failure = OtherVersionError if isinstance(error, OtherFieldsError) else DamagedError
            remedy = f"delete it to run the run again: rm {in_shell(path)}"
            raise failure(f"{path}: cannot be read ({error}); {remedy}") from None


def _json(found: Record | Failure) -> str:
    """Return a file's text, a line a field.

    `asdict` would first copy all of it, and with `indent` the encoder is ten times as slow.
    """
    fields = (f" {json.dumps(name)}: {json.dumps(value, default=vars)}" for name, value in vars(found).items())
    return "{\n" + ",\n".join(fields) + "\n}"


def run_files(directory: Path, start: str = "") -> list[Path]:
    """Return the files of finished runs whose names begin with `start`, by name, each once."""
    found = {path.name: path for folder in RUN_FOLDERS for path in (directory / folder).glob(f"{start}*.json")}
    return [found[name] for name in sorted(found)]


def _version(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written anew; nothing where the file cannot be reached."""
    try:
        written = path.stat()
    except OSError:
        return ()
    return written.st_ino, written.st_mtime_ns, written.st_size


def _is_fingerprint(name: str) -> bool:
    return name.isalnum()
