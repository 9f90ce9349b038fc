"""Fill a Markdown page with written tables, so that the page agrees with them.

Two comments mark a block of the page. `fill` writes between them what the table at that path
contains. The path is relative to the page. Titles of sections, or their beginnings, may follow it;
without any, the first section is shown.

    <!-- results: ../sweeps/results/complexity-nano.json | Perplexity | Cost over the baseline's -->
    <!-- end of results -->
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mta_lab.errors import UserError
from mta_lab.report.markdown import escaped
from mta_lab.report.stale import MARK, read
from mta_lab.results.records import write_whole

END = "<!-- end of results -->"
BLOCK = re.compile(rf"(<!-- results: ([^|\n]+?)((?: \| [^|\n]+?)*) -->\n).*?(?={END})", re.DOTALL)


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
    after, blocks = BLOCK.subn(lambda block: block[1] + _block(page, block[2], block[3].split(" | ")[1:]), before)
    if not blocks or blocks != before.count("<!-- results: "):
        raise UserError(
            f"{page}: has no block of results, or one without an end; a block is <!-- results: PATH --> ... {END}"
        )
    if after != before:
        write_whole(page, after)
    return after != before


def _block(page: Path, target: str, titles: Sequence[str]) -> str:
    """Return the Markdown of one block: the resolved rows, the sections it names, the notes."""
    file = page.parent / target
    table, drawn = read(file), file.with_suffix(".md")
    if not drawn.is_file():
        raise UserError(
            f"{drawn}: is missing; make it by `mta-lab report {table['sweep']} --format markdown > {drawn}`"
        )
    parts = drawn.read_text(encoding="utf-8").strip().split("\n\n")
    stale = [part for part in parts if part.startswith(MARK)]
    sections = {title.strip("*"): f"{title}\n\n{under}"
                for title, under in pairwise(parts) if under.startswith("| ")}  # fmt: skip
    for title in titles:
        if not any(name.startswith(title) for name in sections):
            raise UserError(f"{page}: {drawn} has no section {title!r}; it has {', '.join(map(repr, sections))}")
    wanted = [text for name, text in sections.items() if name.startswith(tuple(titles or [next(iter(sections))]))]
    return "\n" + "\n\n".join([f"*{parts[0].lstrip('# ')}*", *stale, outcome(table), *wanted, parts[-1]]) + "\n\n"


def outcome(table: Mapping[str, Any]) -> str:
    """Return a sentence that lists the resolved rows of a table with their deltas."""
    compared = [row for row in table["rows"] if row["role"] == "row" and row["delta"] is not None]
    resolved = [row for row in compared if row["resolved"]]
    if not resolved:
        return f"Resolved: none of {len(compared)}."
    several = len({row["baseline"] for row in resolved}) > 1
    relative = table["delta_unit"] == "relative"
    listed = [
        f"{escaped(row['row'])} {row['delta'] * 100:+.1f}{' %' if relative else ' points'}"
        + (f" (against {escaped(row['baseline'])})" if several else "")
        for row in sorted(resolved, key=lambda row: float(row["delta"]))
    ]
    return f"Resolved: {len(resolved)} of {len(compared)}: {'; '.join(listed)}."
