"""Print a table, or an index of tables, in one of FORMATS."""

from collections.abc import Callable, Sequence

from rich.console import Console

from mta_lab.report.data import as_json
from mta_lab.report.drawn import terminal
from mta_lab.report.index import index_csv, index_json, index_page
from mta_lab.report.latex import page_as_latex
from mta_lab.report.markdown import page_as_markdown
from mta_lab.report.notes import notes
from mta_lab.report.page import Page
from mta_lab.report.run_lines import as_csv
from mta_lab.report.sections import sections
from mta_lab.report.table import Table

PAGES: dict[str, Callable[[Page], str]] = {"markdown": page_as_markdown, "latex": page_as_latex}
FORMATS = ("rich", "markdown", "latex", "json", "csv")


def render(table: Table, form: str, console: Console) -> None:
    """Print `table` to `console` in one of FORMATS."""
    _print(form, console, lambda: page_of(table), {"json": lambda: as_json(table), "csv": lambda: as_csv(table)})


def render_index(tables: Sequence[Table], form: str, console: Console) -> None:
    """Print one line for each of `tables` to `console` in one of FORMATS."""
    data = {"json": lambda: index_json(tables), "csv": lambda: index_csv(tables)}
    _print(form, console, lambda: index_page(tables), data)


def markdown(table: Table) -> str:
    """Return the table as GitHub-flavoured Markdown."""
    return page_as_markdown(page_of(table))


def page_of(table: Table) -> Page:
    """Return the page of a table, which every drawn format shows."""
    sweep = table.sweep
    return Page(name=sweep.name, title=sweep.heading, sections=sections(table), notes=notes(table), extent=table.extent)


def render_page(page: Page, form: str, console: Console) -> None:
    """Print any page to `console` as `rich`, `markdown` or `latex`."""
    _print(form, console, lambda: page, {})


def _print(form: str, console: Console, page: Callable[[], Page], data: dict[str, Callable[[], str]]) -> None:
    if form == "rich":
        console.print(terminal(page(), console.width))
    else:
        text = data[form]() if form in data else PAGES[form](page())
        console.print(text, markup=False, highlight=False, soft_wrap=True)
