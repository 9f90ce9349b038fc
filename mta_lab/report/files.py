"""Write a table as files: its page, its figures for a paper, and its artifacts in MLflow."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from mta_lab.report.data import as_json
from mta_lab.report.figures import figures
from mta_lab.report.html import index_html, sweep_html
from mta_lab.report.html.captions import TITLES
from mta_lab.report.index import index_name
from mta_lab.report.render import page_of
from mta_lab.report.table import Table
from mta_lab.results.records import write_whole
from mta_lab.theme.style import save, styled, write
from mta_lab.workspace import FIGURES, PAGES

PAPER_WIDTH = 7.0  # inches: the text of a page in two columns


def write_page(table: Table, command: str, dashboard: str, index: Path | None = None) -> Path:
    """Write the page of a sweep, and return its file.

    The page links to `index`, or else to the page over all sweeps under the same scale and
    settings, where there is one. `command` is what trains the missing runs; `dashboard` is the
    address of MLflow.
    """
    file = PAGES / page_name(table)
    over = index or PAGES / f"{index_name([table])}.html"
    write_whole(file, sweep_html(table, page_of(table), command, dashboard, over.name if over.exists() else ""))
    return file


def write_index(tables: Sequence[Table]) -> Path:
    """Write the page over all sweeps, and return its file; the sweeps' own pages lie beside it."""
    file = PAGES / f"{index_name(tables)}.html"
    write_whole(file, index_html(tables, {table.sweep.name: page_name(table) for table in tables}))
    return file


def page_name(table: Table) -> str:
    """Return the name of the file that holds a sweep's page."""
    return f"{table.sweep.shown_as}.html"


def write_figures(table: Table, form: str) -> list[Path]:
    """Write the figures that the table has results for, and return their files.

    `form` is pdf, png or svg.
    """
    written = []
    with styled():
        for name, figure in figures(table, PAPER_WIDTH).items():
            file = FIGURES / f"{table.sweep.shown_as}-{name}.{form}"
            save(figure, file, title=_title(table, name))
            written.append(file)
    return written


def artifacts(table: Table, command: str, dashboard: str) -> dict[str, str]:
    """Return the page, the figures and the numbers of a table as texts, by path."""
    files = {"report.html": sweep_html(table, page_of(table), command, dashboard), "table.json": as_json(table)}
    with styled():
        for name, figure in figures(table, PAPER_WIDTH).items():
            picture = StringIO()
            write(figure, picture, "svg", title=_title(table, name))
            files[f"figures/{name}.svg"] = picture.getvalue()
    return files


def _title(table: Table, name: str) -> str:
    """Return the title in a figure's file: the figure itself has no room for it."""
    return f"{table.sweep.heading}: {TITLES[name]}; {table.extent}"
