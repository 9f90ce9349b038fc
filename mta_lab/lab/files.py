"""Write tables as pages and figures."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.lab.plan import Plan
from mta_lab.lab.tables import dashboard_address
from mta_lab.report import Table, files


def write_pages(plans: Sequence[Plan], tables: Sequence[Table], over: Path | None) -> list[Path]:
    """Write the page of each table, and return the files.

    Each page links to `over`, the page over all of them, if there is one.
    """
    return [
        files.write_page(table, plan.command, dashboard_address(), over)
        for plan, table in zip(plans, tables, strict=True)
    ]


def write_index(tables: Sequence[Table]) -> Path:
    """Write the page over all tables; return its file."""
    return files.write_index(tables)


def write_figures(table: Table, form: str) -> list[Path]:
    """Write the figures that a table has results for, as pdf, png or svg; return the files."""
    return files.write_figures(table, form)
