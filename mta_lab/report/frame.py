"""Convert a table to a pandas DataFrame."""

from pandas import DataFrame

from mta_lab.report.cost import COSTS
from mta_lab.report.data import row_document
from mta_lab.report.table import Table

COLUMNS = (
    "role",
    "baseline",
    "mean",
    "delta",
    "interval",
    "p_holm",
    "resolved",
    "verdict",
    "detection_limit",
    "published",
    "published_delta",
    *COSTS,
)


def frame(table: Table) -> DataFrame:
    """Return the rows of a table, indexed by name, at full precision.

    `delta` and its 95 % interval (`low`, `high`) are against the row's baseline: relative for
    perplexity (-0.02 is 2 % lower), absolute for error rates. `finished` counts the runs with a
    result. Unknown values are missing.
    """
    lines = []
    for row in table.rows:
        found = row_document(row)
        line = {name: found[name] for name in COLUMNS if name != "interval"}
        line["low"], line["high"] = found["interval"] or (None, None)
        lines.append({"row": row.name, "finished": len(row.measured.scores), **line})
    return DataFrame(lines).set_index("row")
