"""`$NAME` in a row of a sweep file: the names that a text uses, and the row with their values."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mta_lab.config import in_words
from mta_lab.errors import UserError, nearest

SIGN = "$"
WORD = re.compile(r"\$(\w+)")


def label(value: Any) -> str:
    """Return a value as a row's name shows it.

    That is `6x11` for [6, 11], `key_query 4x9` for an operation with a kernel.
    """
    if isinstance(value, Mapping):
        return " ".join(map(label, value.values()))
    if isinstance(value, list) and value:
        numbers = all(isinstance(item, int | float) for item in value)
        return ("x" if numbers else " + ").join(map(label, value))
    return in_words(value)


def check_names(node: Any, names: Collection[str], where: str) -> set[str]:
    """Return which of `names` the texts in `node` use; raise UserError for any other `$NAME`."""
    used = set()
    for text in texts(node):
        for word in WORD.findall(text):
            if (name := _meant(word, names)) is None:
                hint = nearest(word, names) or ";"
                raise UserError(f"{where}: {SIGN}{word}: nothing gives this name a value{hint} names: {_listed(names)}")
            used.add(name)
    return used


def filled(node: Any, values: Mapping[str, Any], names: Collection[str] = ()) -> Any:
    """Return `node` with `values` in place of their `$NAME`, however deep it stands; others stay.

    A text that is a `$NAME` and nothing else becomes the value, of whatever type. Within a text
    stands its label; only `names` are looked for there.
    """
    if isinstance(node, Mapping):
        return {key: filled(value, values, names) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(item, values, names) for item in node]
    if not isinstance(node, str):
        return node
    if node.startswith(SIGN) and node[1:] in values:
        return values[node[1:]]
    return labelled(node, values, names)


def labelled(text: str, values: Mapping[str, Any], names: Collection[str]) -> str:
    """Return `text` with the labels of `values` for their `$NAME`; the other `names` stay."""

    def shown(match: re.Match[str]) -> str:
        name = _meant(match[1], names)
        return f"{label(values[name])}{match[1][len(name) :]}" if name and name in values else match[0]

    return WORD.sub(shown, text)


def _meant(word: str, names: Collection[str]) -> str | None:
    """Return the longest of `names` that `word` begins with.

    `$queriesx` is the value of `queries`, and an x.
    """
    return max((name for name in names if word.startswith(name)), key=len, default=None)


def texts(node: Any) -> Iterator[str]:
    """Yield every text in `node`, keys aside."""
    if isinstance(node, Mapping | list | tuple):
        for item in node.values() if isinstance(node, Mapping) else node:
            yield from texts(item)
    elif isinstance(node, str):
        yield node


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"{SIGN}{name}" for name in sorted(names)) or "none"
