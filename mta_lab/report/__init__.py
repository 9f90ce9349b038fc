"""Records and the paper's ledger -> tables."""

from mta_lab.report.render import FORMATS, markdown, render, render_index
from mta_lab.report.table import Table, build_table

__all__ = ["FORMATS", "Table", "build_table", "markdown", "render", "render_index"]
