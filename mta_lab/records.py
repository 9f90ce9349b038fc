"""The project's own records: one JSON file for each finished or failed cell, under its fingerprint.

These files are the truth about what is finished; Optuna and MLflow hold copies. Every file is written whole.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from mta_lab.atomic import replacing
from mta_lab.errors import UserError
from mta_lab.failures import Attempt, Kind

RESULTS = Path("results")
R = TypeVar("R", "Record", "Failure")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished cell."""

    fingerprint: str
    config: Mapping[str, Any]
    """the canonical form of its configuration"""
    content_hash: str
    """of the text it read; empty for a synthetic task, which reads none"""
    parameters: int
    quantity: str
    """what its scores are: 'perplexity' or 'error_rate', lower is better"""
    score: float
    """plain mean over the domains at the end of the run"""
    domains: Mapping[str, float]
    """score by domain at the end of the run"""
    tokens_per_second: float
    seconds: float
    """wall-clock time of the whole run"""
    losses: Sequence[Sequence[float]]
    """training curve: (step, nats a token)"""
    validations: Sequence[Sequence[float]]
    """validation curve: (step, score)"""
    run_id: str
    """the MLflow run, or an empty string where none was written"""
    provenance: Mapping[str, Any]
    """when, where and with what it was measured"""
    implementations: Mapping[str, str] = field(default_factory=dict)
    """what computed the attention: name -> why; empty in records of earlier versions, as what follows"""
    scored: Mapping[str, int] = field(default_factory=dict)
    """what each domain's score is over: tokens for a perplexity, sequences for an error rate"""
    training_seconds: float | None = None
    """time of the optimizer steps alone"""
    peak_memory: int | None = None
    """bytes that the run held at most beyond what its process held before; None where the system does not tell"""
    flops_per_token: float | None = None
    """floating-point operations of a training step over the tokens it reads, as its implementation computes them"""
    attempts: Sequence[Attempt] = ()
    """those that failed before the one that finished"""
    meaning: str = ""
    """what its components compute, measured; 'code:' and a hash of the code where a user's is among them"""
    component_code: str = ""
    """a hash over the code of the user's components that it ran; in records of earlier versions, of all components"""
    engine: int | None = None
    """the engine's version"""
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    """bits of a small fixed computation by what computed the run, by part ('fused, fp32'): equal where rounding is"""
    kernels: str = ""
    """a hash of the compiled kernels' sources, flags and torch; empty where there were none"""

    @property
    def implementation(self) -> str:
        """Return what computed the attention, in short: `fused`, or `fused + sdpa` where layers differ."""
        return " + ".join(self.implementations)

    @property
    def contended(self) -> bool | None:
        """Return whether the run shared its cores with other work, which changes times alone; None where unknown."""
        found = self.provenance.get("contended")
        return found if isinstance(found, bool) else None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failed attempts at a cell that has not finished since."""

    fingerprint: str
    label: str
    kind: Kind = "exception"
    """of the last attempt, as the reason and the traceback; records of earlier versions have no kind"""
    reason: str
    """one line"""
    traceback: str
    attempts: Sequence[Attempt] = ()
    """all of them; empty in records of earlier versions"""
    final: bool = True
    """whether it is tried again only by hand"""


class OtherVersionError(UserError):
    """A file with other fields than this version's."""


class Records:
    """The records below one directory."""

    def __init__(self, directory: Path = RESULTS) -> None:
        self.directory = directory

    @cached_property
    def identity(self) -> str:
        """12 hex digits that name this directory wherever it is moved; made when they are first asked for."""
        path = self.directory / "identity"
        if not path.exists():
            write_whole(path, uuid4().hex[:12])
        return path.read_text(encoding="utf-8").strip()

    def finished(self, fingerprint: str) -> Record | None:
        """The record of a finished cell, or None; a file that cannot be read is a UserError naming it."""
        return self._read(Record, "cells", fingerprint)

    def failed(self, fingerprint: str) -> Failure | None:
        """The failure of a cell that failed for good and has not finished since, or None."""
        failure = self._read(Failure, "failed", fingerprint)
        return failure if failure and failure.final else None

    def attempts(self, fingerprint: str) -> Sequence[Attempt]:
        """The failed attempts at a cell that has not finished."""
        failure = self._read(Failure, "failed", fingerprint)
        return failure.attempts if failure else ()

    def has_finished(self, fingerprint: str) -> bool:
        """Return whether there is a record of the cell, readable or not."""
        return self._path("cells", fingerprint).exists()

    def finish(self, record: Record) -> None:
        """Keep a finished cell and forget its failure, if it had one, and its checkpoints."""
        write_whole(self._path("cells", record.fingerprint), json.dumps(asdict(record), indent=1))
        self.forget_the_way(record.fingerprint)

    def tidy(self) -> None:
        """Remove what a launch that was killed just as a cell finished left of its way there."""
        kept = [*(self.directory / "checkpoints").glob("*"), *(self.directory / "failed").glob("*.json")]
        for fingerprint in {path.stem for path in kept if _is_fingerprint(path.stem)}:
            if self.has_finished(fingerprint):
                self.forget_the_way(fingerprint)

    def forget_the_way(self, fingerprint: str) -> None:
        """Remove the failure and the checkpoints of a run that has finished."""
        self._path("failed", fingerprint).unlink(missing_ok=True)
        self.forget_checkpoints(fingerprint)

    def checkpoints(self, fingerprint: str) -> Path:
        """The directory where a cell's run is kept as long as it is not finished."""
        return self.directory / "checkpoints" / fingerprint

    def weights(self, fingerprint: str) -> Path:
        """The file of a finished cell's model; cells that an earlier version finished have none."""
        return self.directory / "weights" / f"{fingerprint}.pt"

    def forget_checkpoints(self, fingerprint: str) -> None:
        """Remove what was kept of a run that nobody will go on with."""
        shutil.rmtree(self.checkpoints(fingerprint), ignore_errors=True)

    def fail(self, failure: Failure) -> None:
        """Keep why a cell failed."""
        write_whole(self._path("failed", failure.fingerprint), json.dumps(asdict(failure), indent=1))

    def forgive(self, fingerprint: str) -> None:
        """Let a cell that failed for good be tried again; its attempts stay known."""
        if failure := self.failed(fingerprint):
            self.fail(replace(failure, final=False))

    def all_finished(self) -> list[Record]:
        """Every finished cell of every sweep, those that another version wrote left out."""
        found = []
        for path in self._cells():
            with suppress(OtherVersionError):
                found.append(self.finished(path.stem))
        return [record for record in found if record]

    def settings(self) -> dict[str, str]:
        """The settings of every record, as a key: fingerprint -> key; those that another version wrote left out.

        They are kept in one file beside the records, so that only new and changed records are read.
        """
        path = self.directory / "settings.json"
        try:
            known: dict[str, list[Any]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        found: dict[str, list[Any]] = {}
        for file in self._cells():
            name, written = file.stem, file.stat().st_mtime_ns
            found[name] = known[name] if known.get(name, [None])[0] == written else [written, self._settings_of(name)]
        if found != known:
            with suppress(UserError):  # where nothing can be written, they are read again
                write_whole(path, json.dumps(found))
        return {name: key for name, (_, key) in found.items() if key}

    def _cells(self) -> list[Path]:
        """The files of finished cells; a copy that somebody made beside them is none."""
        return sorted(path for path in (self.directory / "cells").glob("*.json") if _is_fingerprint(path.stem))

    def _settings_of(self, fingerprint: str) -> str:
        try:
            record = self.finished(fingerprint)
        except OtherVersionError:
            return ""
        return settings_key(record.config) if record else ""

    def _path(self, kind: str, fingerprint: str) -> Path:
        if not _is_fingerprint(fingerprint):  # whatever names come from, none leaves this directory
            raise ValueError(f"not a fingerprint: {fingerprint!r}")
        return self.directory.joinpath(kind, f"{fingerprint}.json")

    def _read(self, what: type[R], kind: str, fingerprint: str) -> R | None:
        path = self._path(kind, fingerprint)
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return what(**{**fields, "attempts": tuple(Attempt(**one) for one in fields.get("attempts", ()))})
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise UserError(f"{self.directory}: is not a directory; move it away or start elsewhere") from None
        except (OSError, ValueError, TypeError) as error:
            failure = OtherVersionError if isinstance(error, TypeError) else UserError
            raise failure(f"{path}: cannot be read ({error}); delete it to run the cell again") from None


def _is_fingerprint(name: str) -> bool:
    return name.isalnum()


LATER: Mapping[tuple[str, str], Any] = {("training", "compiled"): True, ("data", "mixture"): {}}
"""settings that earlier versions did not have, with the value that all their runs had"""


def settings_key(config: Mapping[str, Any]) -> str:
    """16 hex digits over a configuration in its canonical form, and nothing else; records of all versions have one."""
    earlier = {
        name: {key: one for key, one in section.items() if (name, key) not in LATER or one != LATER[name, key]}
        if isinstance(section, Mapping)
        else section
        for name, section in config.items()
    }
    return hashlib.sha256(json.dumps(earlier, sort_keys=True).encode()).hexdigest()[:16]


def write_whole(path: Path, text: str) -> None:
    """Write `text` so that `path` holds either what it held before or all of it, whatever happens."""
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
