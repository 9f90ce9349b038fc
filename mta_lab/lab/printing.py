"""Print tables on a console."""

from collections.abc import Sequence

from rich.console import Console

from mta_lab.report import Table, render, render_index, render_page
from mta_lab.report.page import Page


def print_table(table: Table, form: str, console: Console) -> None:
    """Print a table as `rich`, `markdown`, `latex`, `csv` or `json`."""
    render(table, form, console)


def print_index(tables: Sequence[Table], form: str, console: Console) -> None:
    """Print a line for each of the tables, in one of these formats."""
    render_index(tables, form, console)


def print_page(page: Page, form: str, console: Console) -> None:
    """Print a page as `rich`, `markdown` or `latex`."""
    render_page(page, form, console)
