"""Titles and captions of a page's figures: what each shows, and of which runs."""

from collections.abc import Mapping

from mta_lab.report.table import Table

TITLES = {
    "forest": "Differences from the baseline, with 95 % intervals",
    "heat": "The grid",
    "curves": "Learning curves",
    "gains": "When the difference appears",
    "pareto": "What it costs",
    "domains": "By domain",
}
CAPTIONS = {
    "forest": "Full points are resolved, hollow ones are not; a square is an A/A row. Blue is better than the "
    "baseline, orange worse.",
    "heat": "Each kernel against the baseline: queries by keys.",
    "curves": "Mean over seeds, with the range from the lowest to the highest; grey: the row's baseline.",
    "gains": "Each seed against the same seed of the baseline; mean and range over seeds.",
    "pareto": "Each row's mean, with its ranges over seeds; a diamond is the baseline. Named are the rows whose means "
    "no other beats in both; they are blue, and joined, only where every row has two runs and no ranges overlap.",
    "domains": "Mean over seeds.",
}
PRINTED = {
    "forest": "What was published stands beside it, against its own baseline, on its own scale; hollow: no more than "
    "its own noise.",
    "domains": "Domains differ in text and in how the paper's were made: compare signs.",
}
"""sentences added to the caption of a figure that shows published values, too"""


def captions(table: Table) -> Mapping[str, str]:
    """Return the caption of each figure, which ends with the scale, settings, rows and seeds."""
    published = {
        "forest": any(row.published.delta is not None for row in table.rows),
        "domains": any(row.published.domains for row in table.rows),
    }
    of = f"Of {table.sweep.conditions}: {table.extent}."
    return {
        name: " ".join([caption, *([PRINTED[name]] if published.get(name) else []), of])
        for name, caption in CAPTIONS.items()
    }
