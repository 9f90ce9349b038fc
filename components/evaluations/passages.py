"""Sentences and words of running text, by simple rules that hold for English prose."""

import re
from collections.abc import Iterator

WORD = re.compile(r"[A-Za-z]+(?:['\u2019][A-Za-z]+)*")
CLOSING = r"[\"'\u201d\u2019)\]]*"
"""quotation marks and brackets that may stand behind a full stop, in a pattern"""
_END = re.compile(rf"(?<=[.!?]){CLOSING}\s+(?=[\"'\u201c\u2018(\[]*[A-Z0-9])")
"""blanks after the end of a sentence, before something that begins one"""
_SHORT = re.compile(rf"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Capt|Lt|Rev|Hon|Jr|Sr|vs|etc|No|Vol|[A-Z])\.{CLOSING}$")
"""an abbreviation, whose full stop ends no sentence"""


def sentences(document: str) -> Iterator[str]:
    """Yield the sentences of a document in order, each in one line.

    A sentence ends with a full stop, a question mark or an exclamation mark, or with its paragraph.
    """
    for paragraph in re.split(r"\n\s*\n", document):
        begun = ""
        for part in _parts(" ".join(paragraph.split())):
            begun = f"{begun} {part}".strip()
            if not _SHORT.search(begun):
                yield begun
                begun = ""
        if begun:
            yield begun


def _parts(text: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(text):
        yield text[start : end.end()].strip()
        start = end.end()
    yield text[start:].strip()


def words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case."""
    return [word.lower() for word in WORD.findall(text)]
