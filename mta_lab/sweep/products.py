"""`times:` in a sweep file: factors of what the layers below come to."""

from collections.abc import Mapping
from typing import Any

from mta_lab.errors import UserError, nearest

DIGITS = 15  # significant ones of a product: 3 times 0.1 is the 0.3 that another row may write


def products(before: Mapping[str, Any], times: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the settings that `times` multiplies, of the flattened ones `before`.

    Raises:
        UserError: a key names no number, or a factor is none above 0.
    """
    numbers = {key: value for key, value in before.items() if type(value) in (int, float)}
    found: dict[str, Any] = {}
    for key, factor in times.items():
        if key not in numbers:
            raise UserError(f"{where}: times.{key}: no setting of this name holds a number{nearest(key, numbers)}")
        if type(factor) not in (int, float) or factor <= 0:
            raise UserError(f"{where}: times.{key}: got {factor!r}, allowed: a number above 0")
        product = float(f"{numbers[key] * factor:.{DIGITS}g}")
        found[key] = int(product) if isinstance(numbers[key], int) and product.is_integer() else product
    return found
