"""A table as files: its page, its figures for a paper, and what MLflow keeps of it."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from mta_lab.records import RESULTS, write_whole
from mta_lab.report.data import as_json
from mta_lab.report.figures import figures
from mta_lab.report.html import index_html, sweep_html
from mta_lab.report.render import page_of
from mta_lab.report.table import Table
from mta_lab.theme.style import save, styled, write

PAPER_WIDTH = 7.0  # inches: the text of a page in two columns
INDEX = "index.html"
PAGES, FIGURES = RESULTS / "pages", RESULTS / "figures"


def write_page(table: Table, command: str, dashboard: str) -> Path:
    """Write the page of a sweep."""
    file = PAGES / page_name(table)
    index = INDEX if (PAGES / INDEX).exists() else ""
    write_whole(file, sweep_html(table, page_of(table), command, dashboard, index))
    return file


def write_index(tables: Sequence[Table]) -> Path:
    """Write the page over all sweeps, whose own pages lie beside it."""
    file = PAGES / INDEX
    write_whole(file, index_html(tables, {table.sweep.name: page_name(table) for table in tables}))
    return file


def page_name(table: Table) -> str:
    """The file of a sweep's page."""
    return f"{table.sweep.shown_as}.html"


def write_figures(table: Table, form: str) -> list[Path]:
    """Write the figures that the table has results for, as pdf, png or svg."""
    written = []
    with styled():
        for name, figure in figures(table, PAPER_WIDTH).items():
            file = FIGURES / f"{table.sweep.shown_as}-{name}.{form}"
            save(figure, file)
            written.append(file)
    return written


def artifacts(table: Table, command: str, dashboard: str) -> dict[str, str]:
    """The page, the figures and the numbers of a table, by path."""
    files = {"report.html": sweep_html(table, page_of(table), command, dashboard), "table.json": as_json(table)}
    with styled():
        for name, figure in figures(table, PAPER_WIDTH).items():
            picture = StringIO()
            write(figure, picture, "svg")
            files[f"figures/{name}.svg"] = picture.getvalue()
    return files
