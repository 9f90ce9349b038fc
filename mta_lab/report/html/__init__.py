"""Pages for a browser: one file each, with all that it shows in it; no script, no request to anywhere."""

from mta_lab.report.html.index import index_html
from mta_lab.report.html.sweep import sweep_html

__all__ = ["index_html", "sweep_html"]
