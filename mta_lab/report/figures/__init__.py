"""Draw the figures of a sweep with matplotlib, for a page, a paper or a screen."""

from collections.abc import Callable

from matplotlib.figure import Figure

from mta_lab.report.figures.asked import facts, needles
from mta_lab.report.figures.curves import curves, gains
from mta_lab.report.figures.domains import domains
from mta_lab.report.figures.effects import effects
from mta_lab.report.figures.forest import forest
from mta_lab.report.figures.heat import heat
from mta_lab.report.figures.pareto import pareto
from mta_lab.report.figures.trials import trials
from mta_lab.report.figures.tuning import tuning
from mta_lab.report.table import Table

FIGURES: dict[str, Callable[[Table, float], Figure | None]] = {
    "forest": forest,
    "effects": effects,
    "heat": heat,
    "curves": curves,
    "gains": gains,
    "pareto": pareto,
    "domains": domains,
    "tuning": tuning,
    "trials": trials,
    "needles": needles,
    "facts": facts,
}


def figures(table: Table, width: float) -> dict[str, Figure]:
    """Return the figures that the table has enough results for, `width` inches wide.

    Call it inside `theme.style.styled`.
    """
    drawn = {name: draw(table, width) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure}
