"""Fill a Markdown page with written tables, so that the page agrees with them.

Two comments mark a block of the page. `fill` writes between them what the table at that path
contains. The path is relative to the page. Titles of sections, or their beginnings, may follow it,
as plain text; without any, the first section is shown.

    <!-- results: ../sweeps/results/complexity-nano.json | Perplexity | Cost over the baseline's -->
    <!-- end of results -->

A path with `*` stands for every table that matches, of which there may be none. Titles that follow
it are those of sections, and the first words of notes; nothing else is shown then. A block of
`items` has what the paper prints beside all tables of a folder:

    <!-- items: ../sweeps/results -->
    <!-- end of results -->
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from mta_lab.errors import UserError
from mta_lab.report.items import items
from mta_lab.report.markdown import escaped
from mta_lab.report.stale import MARK, read
from mta_lab.results.records import write_whole

END = "<!-- end of results -->"
BLOCK = re.compile(rf"(<!-- (results|items): ([^|\n]+?)((?: \| [^|\n]+?)*) -->\n).*?(?={END})", re.DOTALL)
BEGIN = re.compile(r"<!-- (?:results|items): ")


def fill(page: Path) -> bool:
    """Write each block of a page anew, and return True if the page has changed.

    Raises:
        UserError: the page cannot be read or has no block, or a table cannot be read or lacks
            a section that the block names.
    """
    try:
        before = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{page}: cannot be read: {error}") from None
    after, blocks = BLOCK.subn(lambda block: f"{block[1]}\n{_written(page, block)}\n\n", before)
    if not blocks or blocks != len(BEGIN.findall(before)):
        raise UserError(
            f"{page}: has no block of results, or one without an end; a block is <!-- results: PATH --> ... {END}"
        )
    if after != before:
        write_whole(page, after)
    return after != before


def _written(page: Path, block: re.Match[str]) -> str:
    """Return the Markdown between the comments of a block."""
    place, titles = page.parent / block[3], block[4].split(" | ")[1:]
    if block[2] == "items":
        return items(place)
    if "*" not in place.name:
        return _table(page, place, titles)
    files = sorted(place.parent.glob(place.name))
    sweep, _, rest = place.stem.partition("-")
    scale = rest.strip("*")
    at, option = (f" at `{scale}`", f" --scale {scale}") if scale else ("", "")
    none = f"No table of `{sweep}`{at} is written yet; `mta-lab sweep {sweep}{option}` trains it."
    return "\n\n".join(_parts_of(file, titles) if titles else _table(page, file, ()) for file in files) or none


class _Drawn(NamedTuple):
    """The parts of a written table's Markdown."""

    title: str
    stale: list[str]
    sections: Mapping[str, str]
    """by title, which is in the text, too"""
    notes: str


def _drawn(file: Path) -> _Drawn:
    drawn = file.with_suffix(".md")
    if not drawn.is_file():
        table = read(file)
        raise UserError(
            f"{drawn}: is missing; make it by `mta-lab report {table['sweep']} --format markdown > {drawn}`"
        )
    parts = drawn.read_text(encoding="utf-8").strip().split("\n\n")
    return _Drawn(
        title=f"*{parts[0].lstrip('# ')}*",
        stale=[part for part in parts if part.startswith(MARK)],
        sections={
            title.strip("*"): f"{title}\n\n{under}" for title, under in pairwise(parts) if under.startswith("| ")
        },
        notes=parts[-1],
    )


def _table(page: Path, file: Path, titles: Sequence[str]) -> str:
    """Return the resolved rows of a table, the sections that a block names, and the notes."""
    table, drawn = read(file), _drawn(file)
    for title in titles:
        if not any(name.startswith(escaped(title)) for name in drawn.sections):
            shown = ", ".join(map(repr, drawn.sections))
            raise UserError(f"{page}: {file.with_suffix('.md')} has no section {title!r}; it has {shown}")
    wanted = tuple(map(escaped, titles)) or tuple(drawn.sections)[:1]
    chosen = [text for name, text in drawn.sections.items() if name.startswith(wanted)]
    return "\n\n".join([drawn.title, *drawn.stale, outcome(table), *chosen, drawn.notes])


def _parts_of(file: Path, titles: Sequence[str]) -> str:
    """Return the sections and the notes of a table that begin with `titles`, if it has them."""
    drawn, wanted = _drawn(file), tuple(map(escaped, titles))
    chosen = [text for name, text in drawn.sections.items() if name.startswith(wanted)]
    notes = [line for line in drawn.notes.split("\n") if line.removeprefix("- ").startswith(wanted)]
    lacks = [] if chosen else [f"This table has no section *{titles[0]}*."]
    return "\n\n".join([drawn.title, *drawn.stale, *lacks, *chosen, *filter(None, ["\n".join(notes)])])


def outcome(table: Mapping[str, Any]) -> str:
    """Return sentences that list a table's resolved rows with their deltas, and its equal rows."""
    compared = [row for row in table["rows"] if row["role"] == "row" and row["delta"] is not None]
    resolved = [row for row in compared if row["resolved"]]
    equal = [escaped(row["row"]) for row in compared if row.get("verdict") == "equal"]
    also = f" Equal: {'; '.join(equal)}." if equal else ""
    if not resolved:
        return f"Resolved: none of {len(compared)}.{also}"
    several = len({row["baseline"] for row in resolved}) > 1
    relative = table["delta_unit"] == "relative"
    listed = [
        f"{escaped(row['row'])} {row['delta'] * 100:+.1f}{' %' if relative else ' points'}"
        + (f" (against {escaped(row['baseline'])})" if several else "")
        for row in sorted(resolved, key=lambda row: float(row["delta"]))
    ]
    return f"Resolved: {len(resolved)} of {len(compared)}: {'; '.join(listed)}.{also}"
