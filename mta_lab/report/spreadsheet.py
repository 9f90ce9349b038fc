"""Write lines as CSV, in which a spreadsheet finds no formula.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a
formula, unless it is a number. An apostrophe is put before such a text, and before one that begins
with apostrophes and then one of these signs. To read the texts back, remove one apostrophe from
each cell that has some before one of these signs.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def written(lines: Sequence[dict[str, Any]]) -> str:
    """Return the lines as CSV, with every column of any line; an empty field is a missing value."""
    columns = dict.fromkeys(name for line in lines for name in line)
    return "\n".join([_line(columns), *(_line(line.get(name) for name in columns) for line in lines)])


def _line(values: Iterable[Any]) -> str:
    """Return one line of CSV, with quotes around cells that contain a line break of any kind.

    The csv module quotes both kinds of line break only if its own lines end in both.
    """
    file = StringIO(newline="")
    csv.writer(file, lineterminator="\r\n").writerow(map(_cell, values))
    return file.getvalue().removesuffix("\r\n")


def _cell(value: Any) -> Any:
    """Return the value, with an apostrophe before it where it would be a formula."""
    formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if formula else value
