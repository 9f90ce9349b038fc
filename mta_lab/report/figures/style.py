"""One look for all figures: colours that colour-blind readers tell apart, small type, embedded fonts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mta_lab.report.measured import Measured

INK, MUTED, GRID, BAND = "#1b1f24", "#6b7480", "#d5dae0", "#e9edf1"
BETTER, WORSE, PAPER = "#0072b2", "#d55e00", "#aa4499"
"""Okabe and Ito's blue and vermilion, and Tol's purple for what the paper printed"""
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", BAND: "band", BETTER: "better", WORSE: "worse", PAPER: "paper"}
"""a colour in a file -> the variable of a page's style sheet, which knows light and dark"""
ROOMY = 5.0  # inches; a narrower figure is for a phone, or a column of a paper
ROW = 0.21  # inches of height that a row takes
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are the same everywhere
    "font.size": 8,
    "text.parse_math": False,  # a row's name may hold a dollar sign
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "pdf.fonttype": 42,  # TrueType, whole: what publishers ask for
    "svg.fonttype": "path",
    "svg.hashsalt": "mta-lab",  # the same figure is the same file
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw and write figures in the common style."""
    with matplotlib.rc_context(STYLE):
        yield


def colour(difference: float) -> str:
    """Of a difference from the baseline: lower is better."""
    return BETTER if difference < 0 else WORSE


def name_rows(axes: Axes, names: list[str], *, inside: bool) -> None:
    """A row of the table at each height 0, 1, ... from the top; its name before the axis, or above its marks."""
    axes.set_ylim(len(names) - 0.5, -0.7 if inside else -0.5)
    axes.tick_params(axis="y", length=0)
    if inside:
        axes.set_yticks([])
        for place, name in enumerate(names):
            axes.annotate(name, (0, place - 0.3), xycoords=("axes fraction", "data"), fontsize=7, va="center")
        return
    axes.set_yticks(range(len(names)), names, fontsize=7.5, color=INK)


def cut(name: str, length: int) -> str:
    """A name in so many letters at most."""
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"


def mark(row: Measured) -> dict[str, Any]:
    """How a row's point is drawn: full if it is resolved, hollow and grey if not; a square is an A/A row."""
    if row.resolved and row.contrast:
        return {"marker": "o", "color": colour(row.contrast.delta), "markersize": 4.5}
    return {"marker": "s" if row.role == "A/A" else "o", "color": MUTED, "markerfacecolor": "none", "markersize": 4}


def write(figure: Figure, file: Path | StringIO, form: str) -> None:
    """Write a figure as pdf, png or svg; the same figure is the same file."""
    dated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    figure.savefig(file, format=form, dpi=300, facecolor="white", metadata=dated.get(form))


def inline(figure: Figure, name: str) -> str:
    """A figure as an element of a page: no background, the page's font, colours as variables of its style sheet."""
    file = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):  # identifiers are its own
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = text.replace("'DejaVu Sans'", "inherit").replace("font-family: DejaVu Sans", "font-family: inherit")
    for value, variable in VARIABLES.items():
        text = text.replace(value, f"var(--{variable})")
    return re.sub(r"\n+", "\n", text).strip()
