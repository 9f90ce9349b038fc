"""Documents to training and validation sets: clean, choose, split, drop duplicates. Pure functions.

Every order here follows from hashes of the text, so all machines agree on it.
"""

import hashlib
import re
from collections.abc import Iterable

VALIDATION = 0.05  # share of a domain's bytes
SHORTEST_PARAGRAPH = 80  # characters; shorter ones (headings, `return self`) may repeat


def digest(text: str) -> bytes:
    """SHA-256 of a text, blind to how its words are spaced or wrapped."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def size(documents: Iterable[str]) -> int:
    """Bytes of the documents in UTF-8."""
    return sum(len(document.encode()) for document in documents)


def clean(document: str) -> str:
    """Newlines as `\\n`, no trailing blanks, at most two empty lines in a row, valid UTF-8."""
    document = document.encode("utf-8", errors="replace").decode()  # JSON may hold half a surrogate pair
    document = re.sub(r"(?<![ \t])[ \t]*(?:\r\n|\r|\n)", "\n", document)  # looks at each run of blanks once
    return re.sub(r"\n{4,}", "\n\n\n", document).strip("\n").rstrip()


def choose(documents: Iterable[str], limit: int | None) -> list[str]:
    """Distinct cleaned documents in the order of their hashes, until `limit` bytes are reached."""
    distinct = {digest(document): document for document in map(clean, documents) if document}
    chosen, total = [], 0
    for _, document in sorted(distinct.items()):
        if limit is not None and total >= limit:
            break
        chosen.append(document)
        total += len(document.encode())
    return chosen


def split(documents: list[str]) -> tuple[list[str], list[str]]:
    """Training and validation documents; the first ones, up to about 5 % of the bytes, are validation.

    Documents come in the order of their hashes. Each set gets at least one if there are two.
    """
    quota, count, taken = VALIDATION * size(documents), 0, 0
    while count < len(documents) - 1 and taken < quota:
        taken += size([documents[count]])
        count += 1
    return documents[count:], documents[:count]


def drop_seen(documents: Iterable[str], seen: set[bytes]) -> list[str]:
    """The documents without the paragraphs that are in `seen`, which grows by those that are kept.

    Only paragraphs of 80 characters and more count, so that repeated headings do not tear documents; a document of
    shorter ones counts as a whole, and goes from later documents where it is one of their paragraphs. A document that
    brings nothing new goes altogether.
    """
    kept = []
    for document in documents:
        paragraphs = [(paragraph, digest(paragraph)) for paragraph in document.split("\n\n")]
        marks = {mark for paragraph, mark in paragraphs if len(paragraph) >= SHORTEST_PARAGRAPH}
        marks = marks or {digest(document)}
        if not marks <= seen:
            kept.append("\n\n".join(paragraph for paragraph, mark in paragraphs if mark not in seen).strip("\n"))
            seen |= marks
    return kept
