"""Read documents of an import from files, one at a time, however large the files are."""

import io
import json
import lzma
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from mta_lab.data.own import PIECE, divided
from mta_lab.data.unpacking import arrow, unpacked
from mta_lab.errors import UserError

JSON, PLAIN, PARQUET = (".jsonl", ".ndjson"), (".txt", ".md"), ".parquet"
FORMATS = (*JSON, PARQUET, *PLAIN)
State = Mapping[str, Any]
"""the place at which reading goes on, as JSON has it; empty at the start"""
SLIMPAJAMA = {
    "RedPajamaArXiv": "arxiv",
    "RedPajamaBook": "book",
    "RedPajamaC4": "c4",
    "RedPajamaCommonCrawl": "commoncrawl",
    "RedPajamaGithub": "github",
    "RedPajamaStackExchange": "stackexchange",
    "RedPajamaWikipedia": "wikipedia",
}
"""SlimPajama's names of domains -> those of the product"""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The places of text and domain in a record: keys, dotted where they are nested."""

    text: str = "text"
    domain: str | None = None
    """None: the domain is the source's own"""

    @property
    def named(self) -> list[str]:
        """Return the keys."""
        return [self.text] if self.domain is None else [self.text, self.domain]

    def text_of(self, record: Any, where: str) -> str:
        """Return a record's text; null is an empty one."""
        text = _at(record, self.text, "--text-key", where)
        if text is not None and not isinstance(text, str):
            raise UserError(f"{where}: '{self.text}' is no text; --text-key names another")
        return text or ""

    def domain_of(self, record: Any, usual: str, where: str) -> str:
        """Return a record's domain, SlimPajama's in the product's words."""
        if self.domain is None:
            return usual
        name = _at(record, self.domain, "--domain-key", where)
        if not isinstance(name, str) or not name or name.startswith(".") or not name.isprintable() or "/" in name:
            said = f"got {name!r} for the name of a domain, allowed: a text that can name a file"
            raise UserError(f"{where}: {said}; --domain-key names another key")
        return SLIMPAJAMA.get(name, name)


class Reader(Protocol):
    """Reads an input; after any document, `state` says where another reader goes on."""

    def __iter__(self) -> Iterator[tuple[str, str]]: ...

    @property
    def state(self) -> State:
        """Return where reading goes on after the last document."""

    @property
    def position(self) -> int:
        """Return how many bytes of the input are read, as far as that is known."""


class FileReader:
    """Yields (domain, text) of a file's documents; its state is the number of those read."""

    def __init__(self, path: Path, domain: str, keys: Keys, state: State) -> None:
        self._path, self._domain, self._keys = path, domain, keys
        self._documents: int = state.get("documents", 0)
        self._raw: BinaryIO | None = None

    @property
    def state(self) -> State:
        """Return the number of documents read."""
        return {"documents": self._documents}

    @property
    def position(self) -> int:
        """Return the place in the file that is read."""
        if self._raw is None:
            return 0
        return self._path.stat().st_size if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        try:
            with self._path.open("rb") as self._raw:
                for found in islice(self._all(self._raw), self._documents, None):
                    self._documents += 1
                    yield found
        except UnicodeDecodeError as error:
            raise UserError(f"{self._path} is not UTF-8 ({error.reason}); convert it first") from None
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise UserError(
                f"{self._path} cannot be read ({error}); it is damaged, or not what its name says"
            ) from None

    def _all(self, raw: BinaryIO) -> Iterator[tuple[str, str]]:
        _, form, packing = divided(self._path)
        if form in PLAIN:
            yield from ((self._domain, text) for text in _pieces(unpacked(raw, packing)))
            return
        columns = self._keys.named
        records: Iterator[tuple[int, Any]] = (
            enumerate(arrow().rows(raw, columns), start=1)
            if form == PARQUET
            else _json_lines(unpacked(raw, packing), self._path)
        )
        for number, record in records:
            where = f"{self._path}:{number}"
            yield self._keys.domain_of(record, self._domain, where), self._keys.text_of(record, where)


def _json_lines(stream: io.BufferedIOBase, path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line that is not empty."""
    for number, line in enumerate(stream, start=1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        if text.strip():
            try:
                yield number, json.loads(text)
            except (ValueError, RecursionError):
                raise UserError(f"{path}:{number}: not JSON; one object a line is expected") from None


def _pieces(stream: io.BufferedIOBase) -> Iterator[str]:
    """Yield plain text as documents of a few thousand characters, cut at empty lines."""
    lines: list[str] = []
    length = 0
    for line in io.TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8-sig"):
        lines.append(line)
        length += len(line)
        if length >= PIECE and not line.strip():
            yield "".join(lines)
            lines, length = [], 0
    yield "".join(lines)


def _at(record: Any, key: str, option: str, where: str) -> Any:
    """Return the value at a dotted key of a record."""
    found = record
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            keys = ", ".join(map(str, record)) if isinstance(record, dict) else ""
            raise UserError(f"{where}: has no '{key}' (its keys: {keys or 'none'}); {option} names another")
        found = found[part]
    return found
