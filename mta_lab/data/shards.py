"""Imported tokens on disk: their manifest, and the shards of a split as one long array.

A folder of imported tokens has files `DOMAIN.SPLIT.00000.bin` of raw ids (each of `SHARD` tokens,
but for a split's last), the tokenizer, and a manifest of all of them.
"""

import hashlib
import json
import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from mta_lab import strict
from mta_lab.errors import UserError

FORMAT = 1  # raise it when a folder's files or their meaning change
SHARD = 1 << 28  # tokens; a gigabyte of four bytes each
OPEN = 64  # shards of a split that are mapped at once: each holds a file open
BLOCK = 4096  # bytes
BLOCKS = 32  # of a shard, read at each launch
MANIFEST = "manifest.json"
Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
TokenArray = NDArray[np.unsignedinteger]


class Tokens(Protocol):
    """Token ids one after the other, of which windows are read."""

    def __len__(self) -> int: ...
    def __getitem__(self, window: slice, /) -> TokenArray: ...


def token_type(vocabulary: int) -> np.dtype[Any]:
    """Return the type of stored token ids: little-endian, so that files are the same everywhere."""
    return np.dtype("<u2" if vocabulary <= 65536 else "<u4")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of token ids."""

    file: str
    domain: str
    split: Part
    tokens: int
    sha256: str
    sample: str
    """SHA-256 of some of its blocks, which a launch reads"""


@dataclass(frozen=True, kw_only=True)
class ImportedDomain:
    """The documents of a domain; their bytes are UTF-8, without ends of text."""

    name: str
    documents: Mapping[str, int]
    """split -> documents that were kept"""
    bytes: Mapping[str, int]
    """split -> their bytes"""
    dropped: Mapping[str, int]
    """reason -> documents that were dropped"""


@dataclass(frozen=True, kw_only=True)
class TokenizerFile:
    """The tokenizer that was given, and what is kept of it beside the shards."""

    file: str
    """the name of the file that was given"""
    sha256: str
    """of that file"""
    kept: str
    """SHA-256 of the tokenizer.json beside the shards"""

    def __str__(self) -> str:
        return f"{self.file} (sha256 {self.sha256[:16]})"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that is known of a folder of imported tokens."""

    format: int
    source: str
    """the files or data set that were imported, as typed"""
    vocabulary: int
    """entries of the tokenizer; all ids are below it"""
    end_of_text: int
    """the id after each document"""
    tokenizer: TokenizerFile
    settings: Mapping[str, str]
    """the options of the import, by their words on the command line"""
    domains: Sequence[ImportedDomain]
    shards: Sequence[Shard]

    @property
    def content_hash(self) -> str:
        """Return the SHA-256 of what a model sees: tokens by domain and split, and the tokenizer.

        Neither the folder's path nor the origin of the text is part of it.
        """
        shards = [(one.domain, one.split, one.tokens, one.sha256) for one in self.shards]
        facts = ["imported", self.vocabulary, self.end_of_text, self.tokenizer.sha256, shards]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @property
    def has_test(self) -> bool:
        """Return whether documents were held out for 'test'."""
        return any(shard.split == "test" for shard in self.shards)

    def of(self, domain: str, split: str) -> list[Shard]:
        """Return the shards of a domain's split in order."""
        return [shard for shard in self.shards if (shard.domain, shard.split) == (domain, split)]

    def tokens(self, domain: str, split: str) -> int:
        """Return the number of tokens of a domain's split."""
        return sum(shard.tokens for shard in self.of(domain, split))


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a folder.

    Raises:
        UserError: there is none, or it is damaged or of another version.
    """
    path = directory / MANIFEST
    try:
        found = strict.as_json(strict.content(path))
        version = found.get("format") if isinstance(found, dict) else None
        if isinstance(version, int) and version != FORMAT:
            said = f"has a manifest of format {version}, and this version reads {FORMAT}"
            raise UserError(f"data.tokens: {directory} {said}; import the text again, into another folder")
        manifest = strict.built(Manifest, found)
        if fault := next(_faults(manifest), ""):
            raise strict.FaultError(fault)
        return manifest
    except OSError:
        raise UserError(f"data.tokens: {directory} has no {MANIFEST}; {_no_manifest(directory)}") from None
    except strict.FaultError as fault:
        raise UserError(f"data.tokens: {path} is damaged ({fault}); {REMEDY}") from None


def _faults(manifest: Manifest) -> Iterator[str]:
    """Yield in words what no import writes; a file that is edited by hand may lead anywhere."""
    if not 0 <= manifest.end_of_text < manifest.vocabulary:
        yield f"end_of_text: got {manifest.end_of_text}, allowed: 0 to below vocabulary, {manifest.vocabulary}"
    names, files = [domain.name for domain in manifest.domains], [shard.file for shard in manifest.shards]
    for what, listed in (("domains", names), ("shards", files)):
        if not listed:
            yield f"{what}: got [], allowed: one at least"
        if len({*listed}) < len(listed):
            yield f"{what}: one of them is listed twice"
    for shard in manifest.shards:
        if Path(shard.file).name != shard.file:
            yield f"shards: got the file '{shard.file}', allowed: a name in this folder"
        if shard.domain not in names:
            yield f"shards: {shard.file} is of the domain '{shard.domain}', which is not listed"
        if shard.tokens < 1:
            yield f"shards: {shard.file} has {shard.tokens} tokens, allowed: 1 or more"
    if bare := [name for name in names if not manifest.tokens(name, "train")]:
        yield f"domains: '{bare[0]}' has no tokens to train on"


def as_json(manifest: Manifest) -> str:
    """Return the manifest as its file holds it."""
    return json.dumps(asdict(manifest), indent=1)


REMEDY = "restore it from a copy, or import the text again, into another folder"
STATE = "import.json"
"""the file of an import that has not ended"""


def _no_manifest(directory: Path) -> str:
    if (directory / STATE).exists():
        return "its import has not ended: the same `mta-lab data import` command goes on with it"
    return "`mta-lab data import` makes such a folder"


class Shards:
    """Token ids of several files as one array; a window may reach from one into the next."""

    def __init__(self, files: Sequence[tuple[Path, int]], dtype: np.dtype[Any]) -> None:
        """Begin; `files` are paths, each with its number of tokens. A file is opened when read."""
        self._files, self._ends = [path for path, _ in files], [0, *accumulate(tokens for _, tokens in files)]
        self._map = lru_cache(maxsize=OPEN)(lambda index: np.memmap(self._files[index], dtype, mode="r"))
        self.dtype = dtype

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, window: slice, /) -> TokenArray:
        place, stop, _ = window.indices(len(self))
        parts: list[TokenArray] = [np.empty(0, self.dtype)]
        while place < stop:
            index = bisect_right(self._ends, place) - 1
            first, end = self._ends[index], min(stop, self._ends[index + 1])
            parts.append(self._map(index)[place - first : end - first])
            place = end
        return np.concatenate(parts)


def sample_of(path: Path, size: int) -> str:
    """Return the SHA-256 of a file's first and last block, and some between, drawn by its size."""
    places = random.Random(size).sample(range(size), min(BLOCKS - 2, size))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for place in sorted({0, max(0, size - BLOCK), *places}):
            file.seek(place)
            digest.update(file.read(BLOCK))
    return digest.hexdigest()
