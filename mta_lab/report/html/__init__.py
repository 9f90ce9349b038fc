"""Write HTML pages: of one sweep, and over all sweeps."""

from mta_lab.report.html.index import index_html
from mta_lab.report.html.sweep import sweep_html

__all__ = ["index_html", "sweep_html"]
