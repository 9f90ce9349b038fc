"""Panels as one picture (PNG, PDF, SVG) or as one self-contained page, by the file's ending; and their style."""

import html
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure, SubFigure

from mta_lab.errors import UserError

FORMATS = (".html", ".png", ".pdf", ".svg")
DIVERGING = "RdBu_r"  # colour-blind safe; white is zero, red above it
MISSING = "#dddddd"  # a place without a value
MARK = "black"
UNMARKED = "#888888"
LINES = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
)  # Okabe and Ito's, colour-blind safe
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "text.parse_math": False,  # a dollar sign in a text is one
    "pdf.fonttype": 42,  # fonts embedded, text stays text
    "svg.fonttype": "path",  # looks the same without our font
    "svg.hashsalt": "mta-lab",
}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A part of a picture."""

    title: str
    about: str
    """what is drawn, in a sentence or two"""
    size: tuple[float, float]
    """inches"""
    draw: Callable[[Figure | SubFigure], None]


def check_ending(file: Path) -> None:
    """Refuse a file that says no known format, before anything is computed."""
    if file.suffix not in FORMATS:
        raise UserError(f"--output: got '{file}', allowed: a file that ends in {', '.join(FORMATS)}")


def save(file: Path, title: str, panels: Sequence[Panel]) -> None:
    """Write the panels, one below the other, in the format that the file's ending names."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a sign that the font lacks is drawn as a box
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".html":
                file.write_text(_page(title, panels), encoding="utf-8")
            else:
                dates = {".svg": "Date", ".pdf": "CreationDate"}
                metadata = {dates[file.suffix]: None} if file.suffix in dates else None
                _joined(title, panels).savefig(file, metadata=metadata)
        except OSError as error:
            raise UserError(f"{file}: cannot be written: {error.strerror}") from None


def _joined(title: str, panels: Sequence[Panel]) -> Figure:
    width, heights = max(panel.size[0] for panel in panels), [panel.size[1] + 0.7 for panel in panels]
    figure = Figure(figsize=(width, sum(heights) + 0.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold", wrap=True)
    parts = figure.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for panel, part in zip(panels, parts, strict=True):
        part.suptitle(panel.title, x=0.01, ha="left", fontsize=9)
        part.supxlabel(_wrapped(panel.about, int(width * 15)), x=0.01, ha="left", fontsize=7, color="#555555")
        panel.draw(part)
    return figure


def _wrapped(text: str, letters: int) -> str:
    return "\n".join(textwrap.wrap(text, letters))


def _page(title: str, panels: Sequence[Panel]) -> str:
    parts = [_section(panel) for panel in panels]
    return _HTML.format(title=html.escape(title), parts="\n".join(parts))


def _section(panel: Panel) -> str:
    figure = Figure(figsize=panel.size, layout="constrained")
    panel.draw(figure)
    file = StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    drawn = file.getvalue()
    picture = drawn[drawn.index("<svg") :]  # without XML's header
    return f"<h2>{html.escape(panel.title)}</h2>\n<p>{html.escape(panel.about)}</p>\n<figure>{picture}</figure>"


_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ margin: 2rem auto; max-width: 80rem; padding: 0 1rem }}
h1 {{ font-size: 1.3rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
figure {{ background: white; margin: 0; overflow-x: auto }}
figure svg {{ height: auto; max-width: 100% }}
</style></head><body>
<h1>{title}</h1>
{parts}
</body></html>
"""
