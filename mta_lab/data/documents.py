"""Documents to training and validation sets: clean, choose, split, drop duplicates. Pure functions.

Every order here follows from hashes of the text, so all machines agree on it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

VALIDATION = 0.05  # share of a domain's bytes
SHORTEST_PARAGRAPH = 80  # characters; shorter ones (headings, `return self`) may repeat


def digest(text: str) -> bytes:
    """SHA-256 of a text, blind to how its words are spaced or wrapped."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def size(documents: Iterable[str]) -> int:
    """Bytes of the documents in UTF-8."""
    return sum(len(document.encode()) for document in documents)


def clean(document: str) -> str:
    r"""Return the text with newlines as `\n`, no trailing blanks, at most two empty lines in a row, valid UTF-8."""
    document = document.encode("utf-8", errors="replace").decode()  # JSON may hold half a surrogate pair
    document = re.sub(r"(?<![ \t])[ \t]*(?:\r\n|\r|\n)", "\n", document)  # looks at each run of blanks once
    return re.sub(r"\n{4,}", "\n\n\n", document).strip("\n").rstrip()


@dataclass(frozen=True)
class Chosen:
    """Distinct cleaned documents in the order of their hashes, and what became of the others."""

    documents: list[str]
    read: int
    """how many there were"""
    dropped: Counter[str]
    """how many were not kept: why -> count"""


def choose(documents: Iterable[str], limit: int | None) -> Chosen:
    """Keep each document once, in the order of their hashes, until `limit` bytes are reached."""
    distinct: dict[bytes, str] = {}
    read = empty = 0
    for document in map(clean, documents):
        read += 1
        if document:
            distinct[digest(document)] = document
        else:
            empty += 1
    chosen, total = [], 0
    for _, document in sorted(distinct.items()):
        if limit is not None and total >= limit:
            break
        chosen.append(document)
        total += len(document.encode())
    same, beyond = read - empty - len(distinct), len(distinct) - len(chosen)
    dropped = Counter({"empty": empty, "repeating another": same, "beyond the recipe's limit": beyond})
    return Chosen(chosen, read, +dropped)


def split(documents: list[str]) -> tuple[list[str], list[str]]:
    """Training and validation documents; the first ones, up to about 5 % of the bytes, are validation.

    Documents come in the order of their hashes. Each set gets at least one if there are two.
    """
    quota, count, taken = VALIDATION * size(documents), 0, 0
    while count < len(documents) - 1 and taken < quota:
        taken += size([documents[count]])
        count += 1
    return documents[count:], documents[:count]


def drop_seen(documents: Iterable[str], seen: dict[bytes, str], domain: str) -> tuple[list[str], Counter[str]]:
    """Return a domain's documents without the paragraphs in `seen`, and what was removed and why.

    `seen` says which domain holds each paragraph, and grows by those that are kept. Only paragraphs
    of 80 characters and more count, so that repeated headings do not tear documents; a document of
    shorter ones counts as a whole, and goes from later documents where it is one of their
    paragraphs. A document that brings nothing new goes altogether.
    """
    kept: list[str] = []
    dropped = Counter[str]()
    for document in documents:
        paragraphs = [(paragraph, digest(paragraph)) for paragraph in document.split("\n\n")]
        marks = {mark for paragraph, mark in paragraphs if len(paragraph) >= SHORTEST_PARAGRAPH}
        marks = marks or {digest(document)}
        if marks <= seen.keys():
            holders = sorted({seen[mark] for mark in marks})
            dropped[f"repeating text of {' and '.join(holders)}"] += 1
        else:
            kept.append("\n\n".join(paragraph for paragraph, mark in paragraphs if mark not in seen).strip("\n"))
            seen.update(dict.fromkeys(marks - seen.keys(), domain))
    return kept, dropped
