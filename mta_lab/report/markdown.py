"""Write a page as GitHub-flavoured Markdown."""

import re

from mta_lab.report.page import Page, Section


def page_as_markdown(page: Page) -> str:
    """Return the tables of a page, then its notes as a list."""
    extent = [escaped(page.extent)] if page.extent else []
    parts = [f"### {escaped(page.title)}", *extent, *map(_table, page.sections)]
    return "\n\n".join([*parts, "\n".join(f"- {_begun(escaped(note))}" for note in page.notes)])


def _table(section: Section) -> str:
    rows = [section.header, *(line.cells for line in section.lines)]
    head, *body = ["| " + " | ".join(map(escaped, row)) + " |" for row in rows]
    rule = "|" + "|".join([":--"] + ["--:"] * (len(section.header) - 1)) + "|"
    return "\n".join([f"**{escaped(section.title)}**", "", head, rule, *body])


def escaped(text: str) -> str:
    """Escape what Markdown would read as markup, HTML or the end of a cell."""
    return re.sub(r"[\\|*_`<>&~]|\](?=\()", r"\\\g<0>", " ".join(text.split()))


def _begun(text: str) -> str:
    """Escape what would begin a heading, a list or a rule at the start of a line."""
    return re.sub(r"^([0-9]*)([-+#.)]+(?:\s|$))", r"\1\\\2", text)
