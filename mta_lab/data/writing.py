"""Write token shards so that an import goes on after any end, even kill -9.

The state of an import is written beside the shards, after all that it counts is on disk. What an
ended import wrote after its last state is cut off again, so that the folder holds the same bytes in
the end as if nothing had ended it.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mta_lab import strict
from mta_lab.atomic import write_whole
from mta_lab.data.cache import digest_of
from mta_lab.data.shards import STATE, ImportedDomain, Part, Shard, sample_of, token_type
from mta_lab.errors import UserError

DOMAINS = 100  # at most: a key with more values than that names something else


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of an import: everything it needs to go on."""

    settings: Mapping[str, str]
    """the options of the import; one with others does not go on from here"""
    inputs: int = 0
    """inputs that are done"""
    reader: Mapping[str, Any] = field(default_factory=dict)
    """the place at which the reader of the next input goes on"""
    domains: Sequence[ImportedDomain] = ()
    closed: Sequence[Shard] = ()
    """shards that are complete"""
    open: Mapping[str, int] = field(default_factory=dict)
    """file -> its tokens, of shards that are not"""


class Writer:
    """The shards of an import, and its documents by domain and split."""

    def __init__(self, directory: Path, vocabulary: int, most: int, progress: Progress) -> None:
        """Begin, or go on from `progress`.

        Args:
            directory: the folder, which the caller has locked.
            vocabulary: all ids are below it.
            most: tokens of a shard.
            progress: the state in the folder, or a new one.
        """
        self.directory, self.dtype, self._most = directory, token_type(vocabulary), most
        self.closed = list(progress.closed)
        self._domains = {one.name: _Tally(one) for one in progress.domains}
        self._open: dict[tuple[str, Part], _Open] = {}
        _cut_back(directory, progress, self.dtype.itemsize)
        for file, tokens in progress.open.items():
            domain, split, _ = _parts(file)
            self._open[domain, split] = _Open(directory / file, tokens)

    @property
    def domains(self) -> list[ImportedDomain]:
        """Return the documents of each domain so far, by name."""
        return [tally.told(name) for name, tally in sorted(self._domains.items())]

    def tokens(self, *splits: Part) -> int:
        """Return the tokens of these splits so far."""
        closed = sum(one.tokens for one in self.closed if one.split in splits)
        return closed + sum(one.tokens for (_, split), one in self._open.items() if split in splits)

    def drop(self, domain: str, reason: str) -> None:
        """Count a document that is not kept."""
        self._tally(domain).dropped[reason] += 1

    def add(self, domain: str, split: Part, size: int, ids: Sequence[int]) -> None:
        """Add a document of `size` bytes, in tokens, to the end of a split."""
        tally = self._tally(domain)
        tally.documents[split] += 1
        tally.bytes[split] += size
        left = np.array(ids, self.dtype)
        while len(left):
            shard = self._shard(domain, split)
            now, left = np.split(left, [self._most - shard.tokens])
            shard.write(now)
            if shard.tokens == self._most:
                self._close(domain, split)

    def keep(self, settings: Mapping[str, str], inputs: int, reader: Mapping[str, Any]) -> None:
        """Write the state, once all that it counts is on disk."""
        for shard in self._open.values():
            shard.sync()
        progress = Progress(
            settings=settings,
            inputs=inputs,
            reader=reader,
            domains=self.domains,
            closed=self.closed,
            open={shard.path.name: shard.tokens for shard in self._open.values()},
        )
        write_whole(self.directory / STATE, json.dumps(asdict(progress)))

    def close(self) -> list[Shard]:
        """Close all shards, and return them in the order of domains, splits and numbers."""
        for domain, split in [*self._open]:
            self._close(domain, split)
        return sorted(self.closed, key=lambda shard: shard.file)

    def _tally(self, domain: str) -> "_Tally":
        if domain not in self._domains:
            if len(self._domains) == DOMAINS:
                said = f"more than {DOMAINS} domains ({', '.join([*self._domains][:3])} ...)"
                raise UserError(f"{said}; --domain-key must name a key of few values")
            self._domains[domain] = _Tally()
        return self._domains[domain]

    def _shard(self, domain: str, split: Part) -> "_Open":
        if (domain, split) not in self._open:
            number = sum((one.domain, one.split) == (domain, split) for one in self.closed)
            path = self.directory / f"{domain}.{split}.{number:05d}.bin"
            self._open[domain, split] = _Open(path, 0)
        return self._open[domain, split]

    def _close(self, domain: str, split: Part) -> None:
        shard = self._open.pop((domain, split))
        shard.sync()
        shard.file.close()
        whole, sample = digest_of(shard.path), sample_of(shard.path, shard.path.stat().st_size)
        file, tokens = shard.path.name, shard.tokens
        self.closed.append(Shard(file=file, domain=domain, split=split, tokens=tokens, sha256=whole, sample=sample))


def progress_in(directory: Path, settings: Mapping[str, str]) -> Progress:
    """Return the state of the import in a folder, or a new one.

    Raises:
        UserError: the folder holds other files, or an import of something else.
    """
    try:
        found = strict.built(Progress, strict.as_json(strict.content(directory / STATE)))
    except FileNotFoundError:
        if others := sorted(path.name for path in directory.iterdir() if not path.name.startswith(".")):
            raise UserError(f"--to: {directory} holds other files ({others[0]}); give a new folder") from None
        return Progress(settings=settings)
    except (OSError, strict.FaultError) as fault:
        raise UserError(f"--to: {directory / STATE} is damaged ({fault}); give a new folder") from None
    if other := [key for key in settings if found.settings.get(key) != settings[key]]:
        was, now = found.settings.get(other[0]), settings[other[0]]
        said = f"holds an import that has not ended, with {other[0]} {was}, not {now}"
        raise UserError(
            f"--to: {directory} {said}; type that command, on the same files, to go on with it, or remove the folder"
        )
    return found


def _cut_back(directory: Path, progress: Progress, width: int) -> None:
    """Cut off what was written after the state."""
    sizes = {one.file: one.tokens * width for one in progress.closed}
    sizes |= {file: tokens * width for file, tokens in progress.open.items()}
    for file, size in sizes.items():
        path = directory / file
        if not path.is_file() or path.stat().st_size < size:
            raise UserError(f"--to: {path} is missing or shorter than its import left it; give a new folder")
        os.truncate(path, size)
    unfinished = directory.glob(f"{STATE}.*.tmp")  # of a state that was being written
    for path in [*directory.glob("*.bin"), *unfinished]:
        if path.name not in sizes:
            path.unlink()


def _parts(file: str) -> tuple[str, Any, str]:
    """Return domain, split and number of a shard's file."""
    domain, split, number, _ = file.rsplit(".", 3)
    return domain, split, number


class _Open:
    """A shard that is being written."""

    def __init__(self, path: Path, tokens: int) -> None:
        self.path, self.tokens = path, tokens
        self.file: BinaryIO = path.open("ab")

    def write(self, ids: np.ndarray) -> None:
        self.file.write(ids.tobytes())
        self.tokens += len(ids)

    def sync(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())


class _Tally:
    """The documents of a domain while they are counted."""

    def __init__(self, before: ImportedDomain | None = None) -> None:
        self.documents = Counter(before.documents if before else {})
        self.bytes = Counter(before.bytes if before else {})
        self.dropped = Counter(before.dropped if before else {})

    def told(self, name: str) -> ImportedDomain:
        return ImportedDomain(
            name=name, documents=dict(self.documents), bytes=dict(self.bytes), dropped=dict(self.dropped)
        )
