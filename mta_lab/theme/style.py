"""Define the style of figures: colours for colour-blind readers, small type, embedded fonts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib
from matplotlib.figure import Figure

from mta_lab.atomic import replacing
from mta_lab.errors import UserError

INK, MUTED, GRID, BAND = "#1b1f24", "#6b7480", "#d5dae0", "#e9edf1"
BETTER, WORSE, PAPER = "#0072b2", "#d55e00", "#aa4499"
"""Okabe and Ito's blue and vermilion, and Tol's purple for published values"""
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", BAND: "band", BETTER: "better", WORSE: "worse", PAPER: "paper"}
"""colour in a file -> variable of a page's style sheet, which has light and dark values"""
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
    "pdf.fonttype": 42,  # whole TrueType fonts, as publishers require
    "svg.fonttype": "path",
    "svg.hashsalt": "mta-lab",  # the same figure is the same file
}


_HOVER = "hover: "
"""beginning of an artist's identifier; the rest of it is shown under a pointer"""


def hover(text: str) -> str:
    """Return the `gid` of an artist that shows `text` under a pointer, in SVG without scripts."""
    return _HOVER + text


@contextmanager
def styled() -> Iterator[None]:
    """Draw and write figures in the common style, whatever a user's `matplotlibrc` says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def save(figure: Figure, file: Path, dpi: int = 300, title: str = "") -> None:
    """Write a figure to `file`, as pdf, png or svg by its ending.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with replacing(file) as out:
            write(figure, out, file.suffix[1:], dpi, title)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None


def write(figure: Figure, file: BinaryIO | StringIO, form: str, dpi: int = 300, title: str = "") -> None:
    """Write a figure as pdf, png or svg; the same figure gives the same file.

    `title` becomes metadata of the file.
    """
    said: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form, {})
    said |= {"Title": title} if title else {}
    options: dict[str, Any] = {"format": form, "dpi": dpi, "facecolor": "white", "metadata": said}
    if form != "svg":
        figure.savefig(file, **options)
        return
    text = StringIO()
    figure.savefig(text, **options)
    titled = re.sub(f'<g id="{_HOVER}([^"]*)">', r"<g><title>\1</title>", text.getvalue())
    if isinstance(file, StringIO):
        file.write(titled)
    else:
        file.write(titled.encode())


def inline(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element of a page.

    It has no background, the page's font, and colours that are variables of its style sheet.
    """
    file = StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": name}
    ):  # its identifiers differ from other figures'
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(f'<g id="{_HOVER}([^"]*)">', r"<g><title>\1</title>", text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = text.replace("'DejaVu Sans'", "inherit").replace("font-family: DejaVu Sans", "font-family: inherit")
    for value, variable in VARIABLES.items():
        text = text.replace(value, f"var(--{variable})")
    return re.sub(r"\n+", "\n", text).strip()
