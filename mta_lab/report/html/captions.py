"""Titles and captions of a page's figures: what each shows, and of which runs."""

from collections.abc import Mapping

from mta_lab.report.table import Table

TITLES = {
    "forest": "Differences from the baseline, with 95 % intervals",
    "effects": "Effects by factor, with 95 % intervals",
    "heat": "Kernel sizes",
    "curves": "Learning curves",
    "gains": "Difference from the baseline during training",
    "pareto": "Score and cost",
    "domains": "By domain",
    "tuning": "Each row's score over the setting that was tuned",
    "trials": "Trials of the search, in parallel coordinates",
    "needles": "Needles found, by depth and by number",
    "facts": "Facts in a long text, by task and by length",
}
CAPTIONS = {
    "forest": "A full point is a resolved row, a hollow one any other row, a square an A/A row. Blue is better "
    "than the baseline, orange worse.",
    "effects": "The difference that each setting makes over all rows, as if effects added up, against the baseline's "
    "setting. A full point is a resolved effect, a hollow one an unresolved one.",
    "heat": "Each kernel size against the baseline: queries down, keys across.",
    "curves": "Mean over seeds, with the range from the lowest to the highest; grey: the row's baseline.",
    "gains": "Each seed against the same seed of the baseline; mean and range over seeds.",
    "pareto": "Each row's mean, with the 95 % interval of its difference from the baseline, a diamond; costs are "
    "counted, not measured. A row has its name beside it if no other row's mean beats it in both score and cost, "
    "or if there are few rows. The rows that none beats are blue and joined only if intervals leave no doubt of it.",
    "domains": "Mean over seeds.",
    "tuning": "A full point is the value at which the row stands in the table; grey: the row's baseline. These runs "
    "share no random numbers with the table's.",
    "trials": "A line a trial that ran to its end, the best one blue; the last axis is its validation score, better "
    "ones above. Values and scores are drawn from the lowest to the highest that were tried.",
    "needles": "Mean over seeds, with the 95 % interval over seeds and questions; grey: the baseline. Dotted: a number "
    "of the text at random. The paper's Figures 3 and 8 are curves without printed numbers.",
    "facts": "Mean over seeds, with the 95 % interval over seeds and questions; grey: the baseline. Dotted: any label "
    "at random. The paper's Figures 5 (left) and 7 are curves without printed numbers.",
}
PRINTED = {
    "forest": "Published differences stand beside ours, against the published baseline and on a scale of their own; "
    "a hollow one is undecided: no larger than the paper's own noise.",
    "effects": "The paper's are the same fit to its printed values, on a scale of their own; full where the "
    "interval excludes 0.",
    "domains": "The texts of our domains are not the paper's, nor made in the same way: compare signs only.",
}
"""sentences added to the caption of a figure that shows published values, too"""


def captions(table: Table) -> Mapping[str, str]:
    """Return the caption of each figure, which ends with the scale, settings, rows and seeds."""
    published = {
        "forest": any(row.published.delta is not None for row in table.rows),
        "effects": any(row.published.scored for row in table.rows),
        "domains": any(row.published.domains for row in table.rows),
    }
    of = f"Runs at {table.sweep.conditions}: {table.extent}."
    return {
        name: " ".join([caption, *([PRINTED[name]] if published.get(name) else []), of])
        for name, caption in CAPTIONS.items()
    }
