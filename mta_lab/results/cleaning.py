"""Files of a results directory that may go: checkpoints, weights, and runs that are stale."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mta_lab.results.exchange import size_of
from mta_lab.results.records import Records
from mta_lab.strict import FaultError, as_json, content


@dataclass(frozen=True, kw_only=True)
class Removable:
    """Files of one kind that may be removed, by run."""

    files: Mapping[str, Sequence[Path]]
    """files and folders by the fingerprint of their run"""
    kept: int = 0
    """runs of this kind that stay, because a stage starts from them"""

    @property
    def size(self) -> int:
        """Return how many bytes the files take."""
        every = (path for files in self.files.values() for path in files)
        return sum(size_of(file) or 0 for path in every for file in (path, *path.rglob("*")))

    def among(self, runs: Collection[str]) -> "Removable":
        """Return the files of some runs alone."""
        return replace(self, files={name: files for name, files in self.files.items() if name in runs})

    def remove(self) -> None:
        """Remove the files; what went away meanwhile is gone, too."""
        for path in (path for files in self.files.values() for path in files):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def checkpoints(records: Records) -> Removable:
    """Return the checkpoints, each a folder of a run that has not finished."""
    folders = (records.directory / "checkpoints").glob("*")
    return Removable(files={folder.name: [folder] for folder in folders if folder.is_dir()})


def weights(records: Records, parents: Collection[str]) -> Removable:
    """Return the weights of finished runs but those of `parents`, from which stages start.

    Weights of a checkpoint that was brought in are of no run, and stay.
    """
    files = (records.directory / "weights").glob("*.pt")
    return _without(parents, {file.stem: [file] for file in files if records.has_finished(file.stem)})


def stale_runs(records: Records, stale: Collection[str], parents: Collection[str]) -> Removable:
    """Return all that is kept of the `stale` runs but those of `parents`.

    These are records, weights, and answers to questions.
    """
    answers = records.directory / "evaluations"
    files = {
        name: [
            file for file in (records.file(name), records.weights(name), *answers.glob(f"{name}-*")) if file.exists()
        ]
        for name in stale
    }
    return _without(parents, files)


def parents(records: Records) -> dict[str, str]:
    """Return what each stage started from, by fingerprint, as its record says.

    Records of runs whose components are not loaded count, too.
    """
    found = {}
    for file in records.files():
        with suppress(OSError, FaultError):
            record = as_json(content(file))
            found[file.stem] = str(record.get("parent", "")) if isinstance(record, dict) else ""
    return {stage: parent for stage, parent in found.items() if parent}


def _without(parents: Collection[str], files: Mapping[str, Sequence[Path]]) -> Removable:
    rest = {name: found for name, found in files.items() if name not in parents}
    return Removable(files=rest, kept=len(files) - len(rest))
