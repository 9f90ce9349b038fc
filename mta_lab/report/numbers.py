"""How numbers are written."""

from collections.abc import Callable
from typing import TypeVar

from mta_lab.report.published import Unit

V = TypeVar("V")


def or_dash(value: V | None, form: Callable[[V], str]) -> str:
    """The value in that form, or a dash where there is none."""
    return "-" if value is None else form(value)


def score(value: float, quantity: str) -> str:
    """A perplexity, or an error rate in percent."""
    return f"{100 * value:.1f}" if quantity == "error_rate" else f"{value:.2f}"


def delta(value: float, unit: Unit) -> str:
    """A signed difference: relative in percent, of error rates in percentage points, or of perplexities themselves."""
    return {"relative": f"{value:+.2%}", "points": f"{100 * value:+.1f}", "perplexity": f"{value:+.2f}"}[unit]


def count(value: float) -> str:
    """A large number in three digits: 1.62M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Bytes, in GB or MB."""
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
