"""Write numbers as text."""

from collections.abc import Callable
from typing import TypeVar

from components.metrics import Scale

V = TypeVar("V")


def or_dash(value: V | None, form: Callable[[V], str]) -> str:
    """Return the value in a form, or a dash for None."""
    return "-" if value is None else form(value)


def delta(value: float, scale: Scale) -> str:
    """Return a signed difference: in percent, in percentage points, or in the metric's unit."""
    return {"relative": f"{value:+.2%}", "points": f"{100 * value:+.1f}", "absolute": f"{value:+.2f}"}[scale]


def count(value: float) -> str:
    """Return a large number in three digits: 1.62M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Return a number of bytes in GB or MB."""
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
