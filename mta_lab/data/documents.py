"""Clean, choose and split documents, and drop duplicates. Pure functions.

Every order here follows from hashes of the text, so that all machines agree on it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

VALIDATION = 0.05  # share of a domain's bytes
SHORTEST_PARAGRAPH = 80  # characters; shorter ones (headings, `return self`) may repeat


def digest(text: str) -> bytes:
    """Return the SHA-256 of a text, whatever the spacing and wrapping of its words."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def size(documents: Iterable[str]) -> int:
    """Return the bytes of the documents in UTF-8."""
    return sum(len(document.encode()) for document in documents)


def clean(document: str) -> str:
    r"""Return a text in one form.

    It is valid UTF-8, with newlines as `\n`, no trailing blanks, and at most two empty lines in a
    row.
    """
    document = document.encode("utf-8", errors="replace").decode()  # JSON may hold half a surrogate pair
    document = re.sub(r"(?<![ \t])[ \t]*(?:\r\n|\r|\n)", "\n", document)  # looks at each series of blanks once
    return re.sub(r"\n{4,}", "\n\n\n", document).strip("\n").rstrip()


@dataclass(frozen=True)
class Chosen:
    """Distinct cleaned documents in the order of their hashes, and the number of others."""

    documents: list[str]
    read: int
    """number of documents read"""
    dropped: Counter[str]
    """number of documents dropped: reason -> count"""


def choose(documents: Iterable[str], limit: int | None) -> Chosen:
    """Return each document once, in the order of hashes, until `limit` bytes are reached."""
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
    """Return training and validation documents; validation is about the first 5 % of the bytes.

    The documents are in the order of their hashes. Each set has at least one if there are two.
    """
    quota, count, taken = VALIDATION * size(documents), 0, 0
    while count < len(documents) - 1 and taken < quota:
        taken += size([documents[count]])
        count += 1
    return documents[count:], documents[:count]


def drop_seen(documents: Iterable[str], seen: dict[bytes, str], domain: str) -> tuple[list[str], Counter[str]]:
    """Return a domain's documents without the paragraphs in `seen`, and the drops by reason.

    `seen` has the domain of each paragraph that was kept, and grows here. Only paragraphs of 80
    characters or more count, so that repeated headings do not tear documents apart. A document of
    shorter ones counts as one paragraph. A document with nothing new is dropped.
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
