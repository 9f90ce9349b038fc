"""Lines as CSV, which a spreadsheet opens without computing anything.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, unless it is a
number. An apostrophe stands before such a text, and before one that has apostrophes there already: who reads the file
takes one apostrophe away from each cell that has some before one of these signs, and has the text again.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def written(lines: Sequence[dict[str, Any]]) -> str:
    """Lines as CSV under the union of their columns; an empty field is a value that is not there."""
    columns = dict.fromkeys(name for line in lines for name in line)
    return "\n".join([_line(columns), *(_line(line.get(name) for name in columns) for line in lines)])


def _line(values: Iterable[Any]) -> str:
    """One line; cells with a line break of either kind are in quotes, which they are only where lines end in both."""
    file = StringIO(newline="")
    csv.writer(file, lineterminator="\r\n").writerow(map(_cell, values))
    return file.getvalue().removesuffix("\r\n")


def _cell(value: Any) -> Any:
    """The value as a spreadsheet may have it."""
    formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if formula else value
