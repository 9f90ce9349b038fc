"""Read a user's own text: files by domain, files left out with reasons, and documents."""

import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mta_lab.data.unpacking import UNPACKERS, unpacked
from mta_lab.errors import UserError

PIECE = 8_000  # characters after which a long plain-text file is cut at the next empty line


def pieces(content: str, file: Path) -> Iterator[str]:
    """Yield a long text as documents of a few thousand characters, cut at empty lines.

    Otherwise a book in one file would be one document, which cannot be split into training and
    validation.
    """
    piece: list[str] = []
    length = 0
    for paragraph in re.split(r"\n[ \t\r]*\n", content):
        piece.append(paragraph)
        length += len(paragraph)
        if length >= PIECE:
            yield "\n\n".join(piece)
            piece, length = [], 0
    yield "\n\n".join(piece)


def json_lines(content: str, file: Path) -> Iterator[str]:
    """Yield the `text` of the JSON object on each line."""
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                problem = f"{file}:{number}: not JSON ({_fault(error)})"
                raise UserError(f"data.path: {problem}; one object a line is expected") from error
            yield _text_of(record, f"{file}:{number}")


def json_file(content: str, file: Path) -> Iterator[str]:
    """Yield the texts of a JSON file: a list of objects or texts, one object, or one a line."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        if _fault(error) != "Extra data" and content.strip():
            place = f"{file}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else str(file)
            problem = f"{place}: not JSON ({_fault(error)})"
            raise UserError(f"data.path: {problem}; a list, or one object a line, is expected") from error
        yield from json_lines(content, file)
        return
    for number, record in enumerate(found if isinstance(found, list) else [found], start=1):
        yield record if isinstance(record, str) else _text_of(record, f"{file}, item {number}")


def _fault(error: Exception) -> str:
    """Return in words why a file is not JSON."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "too many brackets within brackets" if isinstance(error, RecursionError) else "a number with too many digits"


def _text_of(record: Any, where: str) -> str:
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise UserError(f'data.path: {where}: no "text" string; expected {{"text": "..."}}')
    return str(record["text"])


READERS: dict[str, Callable[[str, Path], Iterator[str]]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_file,
    ".txt": pieces,
    ".md": pieces,
}


def in_words(formats: Collection[str]) -> str:
    """Return formats in words, with those in which their files may be compressed."""
    packed = "all but .parquet" if ".parquet" in formats else "each"
    return f"{', '.join(formats)}, {packed} also compressed as {', '.join(UNPACKERS)}"


@dataclass
class OwnFiles:
    """The files of a user's text."""

    domains: dict[str, list[Path]] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)
    """file -> why it is left out"""


def own_files(path: Path, said: str = "data.path", formats: Collection[str] = tuple(READERS)) -> OwnFiles:
    """Return the user's files by domain.

    `path` is a folder or one file. In it, a domain is a file like DOMAIN.jsonl, or all such files
    in a folder DOMAIN and below. Files of other `formats` are left out; messages begin as `said`.

    Raises:
        UserError: the path does not exist, or holds no such file.
    """
    if not path.exists():
        raise UserError(f"{said}: {path} does not exist; give a folder, or a file: {in_words(formats)}")
    found = OwnFiles()
    for entry in sorted(path.iterdir()) if path.is_dir() else [path]:
        inside = entry.is_dir() and not entry.name.startswith(".")
        for file in _below(entry) if inside else [entry]:
            reason = _obstacle(file, formats) or ("" if inside or file == path else _describes(file))
            if any(
                "\ud800" <= letter <= "\udfff" for letter in entry.name + file.name
            ):  # how Python shows bytes that are not UTF-8
                reason = "its name is not UTF-8"
            if reason:
                found.left_out[file] = reason
            else:
                found.domains.setdefault(entry.name if inside else divided(file)[0], []).append(file)
    if not found.domains:
        left = "".join(f"; {file.name} is left out: {reason}" for file, reason in [*found.left_out.items()][:1])
        raise UserError(f"{said}: {path} holds no DOMAIN.jsonl or other text that is read ({in_words(formats)}){left}")
    return found


def own_text(file: Path) -> Iterator[str]:
    """Yield the documents of a user's file: the `text` of JSON objects, or pieces of plain text.

    Raises:
        UserError: the file is not UTF-8 or not JSON, has no `text`, or cannot be unpacked; the
            message names file and place.
    """
    _, form, packing = divided(file)
    data = file.read_bytes()
    try:
        content = unpacked(io.BytesIO(data), packing).read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"data.path: {file} is not UTF-8 (byte {error.start}); convert it first") from error
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"data.path: {file} cannot be unpacked ({error}); it is damaged, or not {packing}") from error
    yield from READERS[form](content, file)


def _below(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder and below, in order; skip linked folders and hidden ones."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _below(entry)
        else:
            yield entry


def _obstacle(entry: Path, formats: Collection[str]) -> str:
    """Return why a file is not read, or an empty text."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_dir():
        return "a link to a folder"
    if not entry.is_file():
        return "not a file, or a link to a missing file"
    return "" if divided(entry)[1] in formats else "its format is not read"


def _describes(file: Path) -> str:
    """Return why a file beside the domains is not a domain, or an empty text."""
    readme = divided(file)[0].lower() == "readme"
    return "it describes the folder; to train on it, give it another name" if readme else ""


def divided(file: Path) -> tuple[str, str, str]:
    """Divide a file's name: `Web.JSONL.gz` into `Web`, `.jsonl`, `.gz` (or an empty text)."""
    packing = file.suffix.lower() if file.suffix.lower() in UNPACKERS else ""
    name = Path(file.stem) if packing else file
    return name.stem, name.suffix.lower(), packing
