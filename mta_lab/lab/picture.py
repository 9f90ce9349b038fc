"""Wrap a figure so that Jupyter shows it and it can be saved."""

from io import StringIO
from pathlib import Path

from matplotlib.figure import Figure

from mta_lab.errors import UserError
from mta_lab.theme import style

FORMATS = (".svg", ".pdf", ".png")


class Picture:
    """A figure in the project's style; Jupyter shows it as SVG."""

    def __init__(self, figure: Figure, title: str) -> None:
        self.figure = figure
        """the matplotlib figure, free to be changed"""
        self.title = title

    def __repr__(self) -> str:
        return f"Picture({self.title!r})"

    def _repr_svg_(self) -> str:
        """Return the figure as SVG, for Jupyter."""
        text = StringIO()
        with style.styled():
            style.write(self.figure, text, "svg", title=self.title)
        return text.getvalue()

    def save(self, file: str | Path) -> Path:
        """Write the figure to `file` and return it; the ending says the format: .svg, .pdf or .png.

        Raises:
            UserError: the ending is another one, or the file cannot be written.
        """
        path = Path(file)
        if path.suffix not in FORMATS:
            raise UserError(f"save: got '{path}', allowed: a file that ends in {', '.join(FORMATS)}")
        with style.styled():
            style.save(self.figure, path, title=self.title)
        return path
