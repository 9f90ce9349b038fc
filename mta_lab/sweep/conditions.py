"""`if:` in a row of a sweep file: comparisons of a setting with a value, like `model.layers >= 12`.

Several are joined by `and`, or by `or`. A value is written as behind a key of the file. Nothing is
executed.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mta_lab.config import RunConfig, flatten, in_words
from mta_lab.config.reader import NOTHING, read_value
from mta_lab.errors import UserError, nearest

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
COMPARISON = re.compile(r"\s*([\w.]+)\s*(==|!=|>=|<=|>|<)\s*([^\s=<>!].*?)\s*")
ALLOWED = f"SETTING {' '.join(COMPARISONS)} VALUE, like model.layers >= 12; several joined by `and`, or by `or`"


@dataclass(frozen=True)
class Comparison:
    """A setting, how it is compared, and with what value."""

    key: str
    sign: str
    value: Any

    def holds(self, found: Any, where: str) -> bool:
        """Return whether it holds for the value `found`; raise UserError without an order."""
        numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (found, self.value))
        alike = numbers or type(found) is type(self.value)
        equality = self.sign in ("==", "!=")
        if not numbers and not (equality and (alike or None in (found, self.value))):
            raise UserError(
                f"{where}: {self.key} {self.sign} {in_words(self.value)}: "
                f"{self.key} is {in_words(found)} here; allowed: {'a value of its type' if equality else 'numbers'}"
            )
        return COMPARISONS[self.sign](found, self.value)


@dataclass(frozen=True)
class Condition:
    """The condition under which a row is in the table: `text` as in the file, at `where`."""

    text: str
    where: str
    comparisons: tuple[Comparison, ...]
    every: bool
    """whether all comparisons must hold, or one"""

    def reads(self, written: Collection[str]) -> bool:
        """Return whether the condition is on one of the `written` keys, or on a setting within."""
        keys = {comparison.key for comparison in self.comparisons}
        return any(key == one or key.startswith(f"{one}.") or one == f"{key}.name" for key in keys for one in written)

    def missing(self, config: RunConfig) -> str:
        """Return why a row of this configuration is left out, an empty text where it stands."""
        settings = flatten(config)
        found = {comparison.key: settings[self._known(comparison.key, settings)] for comparison in self.comparisons}
        held = [comparison.holds(found[comparison.key], self.where) for comparison in self.comparisons]
        if all(held) if self.every else any(held):
            return ""
        values = ", ".join(f"{key} is {in_words(value)}" for key, value in found.items())
        return f"its condition `{self.text}` does not hold: {values}"

    def _known(self, key: str, settings: Mapping[str, Any]) -> str:
        for name in (key, f"{key}.name"):
            if name in settings:
                return name
        raise UserError(f"{self.where}: {key}: the row has no setting of this name{nearest(key, settings)}")


def read_condition(text: Any, where: str) -> Condition | None:
    """Return the condition behind `if`, or None; raise UserError if it is no comparison."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise UserError(f"{where}: got {in_words(text)}, allowed: {ALLOWED}")
    joined = [word for word in ("and", "or") if re.search(rf"\s{word}\s", text)]
    if len(joined) > 1:
        raise UserError(f"{where}: got '{text}', which joins by `and` and by `or`; allowed: one of the two")
    parts = re.split(r"\s(?:and|or)\s", text)
    return Condition(text, where, tuple(_comparison(part, where) for part in parts), joined != ["or"])


def _comparison(text: str, where: str) -> Comparison:
    match = COMPARISON.fullmatch(text)
    try:
        value = read_value(match[3]) if match else NOTHING
    except ValueError:
        value = NOTHING
    if match is None or value is NOTHING or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(f"{where}: got '{text.strip()}', allowed: {ALLOWED}")
    return Comparison(match[1], match[2], value)
