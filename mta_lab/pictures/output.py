"""Write panels as one picture (PNG, PDF, SVG) or one self-contained page."""

import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure, SubFigure

from mta_lab.errors import UserError
from mta_lab.results.records import write_whole
from mta_lab.theme import style
from mta_lab.theme.pages import filled
from mta_lab.theme.style import INK, MUTED, styled

FORMATS = (".html", ".png", ".pdf", ".svg")
DIVERGING = "RdBu_r"  # colour-blind safe; white is zero, red above it
MISSING = "#dddddd"  # an entry without a value
MARK = "black"  # on a map, which is light on dark pages, too
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)  # Okabe and Ito's, colour-blind safe
DPI = 130  # dots an inch of a PNG: attention maps are large


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A part of a picture."""

    title: str
    about: str
    """a sentence or two on what is drawn"""
    size: tuple[float, float]
    """width and height in inches"""
    draw: Callable[[Figure | SubFigure], None]


def check_ending(file: Path) -> None:
    """Refuse a file whose ending is not a known format, before anything is computed.

    Raises:
        UserError: it names the endings that are allowed.
    """
    if file.suffix not in FORMATS:
        raise UserError(f"--output: got '{file}', allowed: a file that ends in {', '.join(FORMATS)}")


def save(file: Path, title: str, panels: Sequence[Panel]) -> None:
    """Write the panels, one below the other, in the format that the file's ending says."""
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing"
        )  # a character that the font lacks is drawn as a box
        if file.suffix == ".html":
            write_whole(file, _page(title, panels))
        else:
            style.save(joined(title, panels), file, DPI)


def joined(title: str, panels: Sequence[Panel]) -> Figure:
    """Return the panels as one figure, one below the other. Call it inside `style.styled`."""
    width, heights = max(panel.size[0] for panel in panels), [panel.size[1] + 0.7 for panel in panels]
    figure = Figure(figsize=(width, sum(heights) + 0.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold", wrap=True)
    parts = figure.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for panel, part in zip(panels, parts, strict=True):
        part.suptitle(panel.title, x=0.01, ha="left", fontsize=9)
        part.supxlabel(_wrapped(panel.about, int(width * 15)), x=0.01, ha="left", fontsize=7, color=MUTED)
        panel.draw(part)
    return figure


def _wrapped(text: str, letters: int) -> str:
    return "\n".join(textwrap.wrap(text, letters))


def _page(title: str, panels: Sequence[Panel]) -> str:
    drawn = [(panel, _picture(panel, f"picture-{n}")) for n, panel in enumerate(panels)]
    return filled("pictures/page.html.j2", page={"title": title}, tiles=[], panels=drawn)


def _picture(panel: Panel, name: str) -> Markup:
    figure = Figure(figsize=panel.size, layout="constrained")
    panel.draw(figure)
    return Markup(style.inline(figure, name))  # safe: matplotlib escapes the texts in it
