"""Results that travel: list a directory's records, merge another's, pack a sweep's."""

import gzip
import io
import json
import shlex
import shutil
import stat
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mta_lab.atomic import replacing
from mta_lab.errors import UserError
from mta_lab.results.looks import merge_looks
from mta_lab.results.notes import merge_notes
from mta_lab.results.recorded_settings import without
from mta_lab.results.records import RUN_FOLDERS, OtherVersionError, Record, Records, run_files, write_whole
from mta_lab.results.step_times import merge_step_times
from mta_lab.strict import FaultError, as_json, content
from mta_lab.workspace import LOOKS

FOLDERS = {"runs": RUN_FOLDERS} | {name: (name,) for name in ("failed", "weights", "checkpoints", "pages", "figures")}
"""kinds of files in a results directory, with the folders that hold them"""
ADDED_LATER = ("further", "evaluated")
"""parts of a record that grow after its run, by an entry a question"""


@dataclass(frozen=True, kw_only=True)
class FinishedGroup:
    """Finished runs of one scale, task, text and engine."""

    scale: str
    task: str
    text: str
    """a hash; empty of a synthetic task"""
    engine: int | None
    runs: int
    configurations: int
    """that differ in more than the seed"""
    days: tuple[str, str]
    """the first and the last"""


@dataclass
class Merged:
    """The outcome of a merge: names of the other's files, like `runs/0123456789abcdef.json`."""

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    """the same run, which has been asked more in one of the two places, and now in both"""
    conflicts: list[str] = field(default_factory=list)
    """the run is here with other content, which was kept"""
    unreadable: list[str] = field(default_factory=list)


def finished_groups(records: Records) -> list[FinishedGroup]:
    """Return what is finished, in groups, the largest first."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records.all_finished():
        config = record.config
        task = config.get("task", {}).get("name", "language")
        groups.setdefault((config["scale"], task, record.content_hash, record.engine), []).append(record)
    found = [
        FinishedGroup(
            scale=scale,
            task=task,
            text=text,
            engine=engine,
            runs=len(runs),
            configurations=len({_without_seed(run.config) for run in runs}),
            days=(min(map(_day, runs)), max(map(_day, runs))),
        )
        for (scale, task, text, engine), runs in groups.items()
    ]
    return sorted(found, key=lambda group: -group.runs)


def sizes(records: Records) -> Mapping[str, tuple[int, int]]:
    """Return how many files of each kind there are, and how many bytes they take."""
    found = {}
    for kind, folders in FOLDERS.items():
        files = [path for name in folders for path in (records.directory / name).rglob("*")]
        bytes_of = [size for path in files if (size := size_of(path)) is not None]
        found[kind] = (len(bytes_of), sum(bytes_of))
    return found


def size_of(path: Path) -> int | None:
    """Return the bytes of a file; None of what is none, or went away: a launch may be running."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def merge(records: Records, other: Path, *, replace: bool, failures: bool, weights: bool) -> Merged:
    """Take the finished runs of the directory `other` into `records`.

    With `failures` and `weights`, take these too.

    A run that is here with other content is a conflict: it is kept, unless `replace`. Where one of
    the two was asked more since it finished, their answers are joined. Weights follow their record.
    """
    if not other.exists():
        raise UserError(f"{other}: does not exist")
    if other.is_file():
        unpack = f"unpack an archive (tar xzf {shlex.quote(str(other))}) and name the folder `results` in it"
        raise UserError(f"{other}: is a file, not a results directory; {unpack}")
    if not _holds_runs(other):
        nearer = f"; did you mean {other / 'results'}?" if _holds_runs(other / "results") else ""
        raise UserError(f"{other}: is not a results directory: it has no folder 'runs'{nearer}")
    if other.resolve() == records.directory.resolve():
        raise UserError(f"{other}: is the results directory here; name another one")
    done = Merged()
    for file in run_files(other):
        _take_record(records, file, done, replace=replace)
        if weights:
            _take_weights(records, other, file.stem, done)
    for file in sorted((other / "failed").glob("*.json")) if failures else ():
        _take_failure(records, file, done)
    try:
        merge_looks(records.directory, other)
    except FaultError:
        done.unreadable.append(LOOKS)
    merge_notes(records.directory, other)
    merge_step_times(records.directory, other)
    return done


def _holds_runs(directory: Path) -> bool:
    return any((directory / folder).is_dir() for folder in RUN_FOLDERS)


def export(records: Records, fingerprints: Iterable[str], target: Path) -> Merged:
    """Write the records of finished runs into the folder `target`, each in one line of JSON.

    What is there with other content is a conflict, and is kept; answers given later are joined.
    """
    done = Merged()
    for fingerprint in sorted(set(fingerprints)):
        file, name = target / "runs" / f"{fingerprint}.json", f"runs/{fingerprint}.json"
        ours = as_json(content(records.file(fingerprint)))
        there = _content(file) if file.exists() else ours
        joined = _joined(there, ours) if there is not None else None
        if joined is None:
            done.conflicts.append(name)
        elif file.exists() and joined == there:
            done.same.append(name)
        else:
            (done.joined if file.exists() else done.added).append(name)
            write_whole(file, json.dumps(joined, separators=(",", ":")) + "\n")
    return done


def _joined(record: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a record with what the same run was asked elsewhere; None where it is another run.

    An answer that both have stays: one question to one run has one answer.
    """
    answers = {}
    for part in ADDED_LATER:
        found = [one[part] for one in (other, record) if part in one]
        if found and all(isinstance(one, dict) for one in found):  # another version may have something else there
            answers[part] = {**found[0], **found[-1]}
    return {**record, **answers} if {**record, **answers} == {**other, **answers} else None


def _take_record(records: Records, file: Path, done: Merged, *, replace: bool) -> None:
    name, theirs = f"runs/{file.name}", _content(file)
    if theirs is None:
        done.unreadable.append(name)
        return
    here = records.file(file.stem)
    ours = _content(here) if here.exists() else theirs
    joined = _joined(ours, theirs) if ours is not None else None
    if here.exists() and joined is not None and joined == ours:
        done.same.append(name)
        return
    if joined is not None:
        theirs = joined
        (done.joined if here.exists() else done.added).append(name)
    elif replace or ours is None:  # ours cannot be used
        done.replaced.append(name)
    else:
        done.conflicts.append(name)
        return
    write_whole(here, json.dumps(theirs, indent=1))
    records.forget_the_way(file.stem)


def _take_failure(records: Records, file: Path, done: Merged) -> None:
    name, here = f"failed/{file.name}", records.directory / "failed" / file.name
    if records.has_finished(file.stem) or here.exists():
        return
    theirs = _content(file)
    if theirs is None:
        done.unreadable.append(name)
    else:
        write_whole(here, json.dumps(theirs, indent=1), private=True)
        done.added.append(name)


def _take_weights(records: Records, other: Path, fingerprint: str, done: Merged) -> None:
    """Copy the weights of a run whose record was taken in or is the same here."""
    file, name = Records(other).weights(fingerprint), f"runs/{fingerprint}.json"
    taken = name in (*done.added, *done.replaced)
    here = records.weights(fingerprint)
    if not file.exists() or not (taken or (name in (*done.same, *done.joined) and not here.exists())):
        return
    if not _is_plain(file):
        done.unreadable.append(f"weights/{file.name}")
        return
    with file.open("rb") as source, replacing(here) as target:
        shutil.copyfileobj(source, target)
    done.added.append(f"weights/{file.name}")


def _content(file: Path) -> Any:
    """Return the content of a run's file, of any version; None where it cannot be used."""
    try:
        Records(file.parent.parent).check(file)
    except OtherVersionError:
        pass
    except UserError:
        return None
    try:
        return as_json(content(file))
    except (OSError, FaultError):
        return None


def _is_plain(file: Path) -> bool:
    """Return whether it is a real file.

    A link may point at any file of the reader's, which would travel on.
    """
    return file.is_file() and not file.is_symlink()


def archive(target: Path, files: Mapping[str, Path | str]) -> int:
    """Write `files`, by name, as a tar.gz with one folder; return how many there are.

    The same files make the same archive, to the byte.
    """
    folder = target.name.removesuffix(".gz").removesuffix(".tar")
    try:
        with (
            replacing(target) as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as squeezed,
            tarfile.open(fileobj=squeezed, mode="w") as packed,
        ):
            for name, each in sorted(files.items()):
                if isinstance(each, Path) and not _is_plain(each):
                    raise UserError(f"{each}: is a link, or no file, and is not packed; put the file itself there")
                found = each.encode() if isinstance(each, str) else each.read_bytes()
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size = len(found)
                packed.addfile(member, io.BytesIO(found))
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}") from None
    return len(files)


def files_to_pack(records: Records, fingerprints: Iterable[str], *, weights: bool) -> dict[str, Path | str]:
    """Return the files of finished runs by their place in an archive, and weights if asked for."""
    found: dict[str, Path | str] = {}
    for name in sorted(set(fingerprints)):
        if records.has_finished(name):
            found[f"results/runs/{name}.json"] = records.file(name)
            if weights and records.weights(name).exists():
                found[f"results/weights/{name}.pt"] = records.weights(name)
    return found


def _without_seed(config: Mapping[str, Any]) -> str:
    return json.dumps(without(config, ("seed", "stream")), sort_keys=True)


def _day(record: Record) -> str:
    return str(record.provenance.get("finished", "an unknown day"))[:10]


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return names in a line, the first `most` of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
