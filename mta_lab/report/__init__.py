"""Build and print the table of a sweep, from its records and the paper's values."""

from mta_lab.report.render import FORMATS, markdown, render, render_index, render_page
from mta_lab.report.table import Table, build_table

__all__ = ["FORMATS", "Table", "build_table", "markdown", "render", "render_index", "render_page"]
