"""`search:` in a sweep file: rows are templates, and `$name` stands for a value of a range.

The table of such a sweep has the winners as rows. They are chosen by validation on a random stream
of their own, and trained and scored anew under the sweep's seeds, on the test text or sequences
that the search never saw.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mta_lab.config import NOTHING, RunConfig, difference, identity_of, plain
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.keys import COUNT, RANGE, SEARCH, TRIALS, WINNERS, names
from mta_lab.sweep.placeholders import SIGN, filled, texts

STREAM = "search"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `log`: as likely in every octave.

    Whole ones where the ends are of type int: where the setting is, whatever the file writes for a
    real one.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Return whether only whole numbers are searched."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: tuple[Any, ...]


Space = Mapping[str, Range | Choices]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The outcome of a row's search."""

    values: Sequence[Mapping[str, Any]]
    """of the best trials, best first; empty before one ran to its end"""
    trials: int
    """that ended"""


Winners = Mapping[str, Found]
"""by row"""


@dataclass(frozen=True)
class Template:
    """A row with names of ranges in it."""

    settings: Mapping[str, Any]
    times: Mapping[str, Any]
    build: Callable[[Mapping[str, Any], Mapping[str, Any]], RunConfig]
    """settings and factors, without names, to the row's configuration"""

    def names(self) -> list[str]:
        """Return the ranges that it uses."""
        return sorted({text[1:] for text in texts([self.settings, self.times]) if text.startswith(SIGN)})

    def config(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration with `values` in place of the names."""
        return self.build(filled(self.settings, values), filled(self.times, values))


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search: templates of rows over a space, each with as many trials."""

    trials: int
    """of each template"""
    winners: int
    """best trials of each template that become rows of the table"""
    space: Space
    templates: Mapping[str, Template]
    """the rows with a `$name` in them; the others are no matter of the search"""

    def space_of(self, row: str) -> Space:
        """Return the ranges that a template uses."""
        return {name: self.space[name] for name in self.templates[row].names()}

    def config(self, row: str, values: Mapping[str, Any]) -> RunConfig:
        """Return a template's trial: on the search's random stream, scored on validation text."""
        return replace(self.templates[row].config(values), stream=STREAM)

    def first_values(self, row: str) -> dict[str, Any]:
        """Return the lower ends of the ranges that a template uses."""
        return {name: _first(found) for name, found in self.space_of(row).items()}

    def key(self, row: str) -> str:
        """Return 8 hex digits over what makes trials comparable, the text aside.

        Those are the ranges, all other settings, and what the components compute.
        """
        config = self.config(row, self.first_values(row))
        ranges = {name: asdict(found) for name, found in self.space_of(row).items()}
        parts = [ranges, plain(config), asdict(identity_of(config, content_hash=""))]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def read_search(section: Any, templates: Mapping[str, Template], source: str) -> Search:
    """Return the checked `search` section: each range is used, and both its ends build."""
    where, keys = f"{source}: search", names(SEARCH)
    if not isinstance(section, Mapping):
        raise UserError(f"{where}: got {section!r}, allowed: a mapping with {', '.join(keys)}")
    for key in section:
        if key not in keys:
            raise UserError(f"{where}.{key}: no such key{nearest(key, keys) or ';'} allowed: {', '.join(keys)}")
    space = section.get("space")
    if not isinstance(space, Mapping) or not space:
        raise UserError(f"{where}.space: got {space!r}, allowed: a mapping of names to ranges")
    ranges = {name: _range(value, f"{where}.space.{name}") for name, value in space.items()}
    search = Search(
        trials=_count(section.get("trials", TRIALS), f"{where}.trials"),
        winners=_count(section.get("winners", WINNERS), f"{where}.winners"),
        space=ranges,
        templates={row: template for row, template in templates.items() if template.names()},
    )
    for row in search.templates:
        _check_template(search, row, source)
    for name in ranges:
        if all(name not in template.names() for template in search.templates.values()):
            raise UserError(f"{where}.space.{name}: no row uses ${name}; use it, or take the range out")
    return replace(search, space={name: _as_used(search, name, f"{where}.space.{name}") for name in ranges})


def _check_template(search: Search, row: str, source: str) -> None:
    """Raise UserError unless each name has a range that changes the row, and both ends build."""
    used = search.templates[row].names()
    for name in used:
        if name not in search.space:
            known = f"search.space has no range of this name{nearest(name, search.space)}"
            raise UserError(f"{source}: rows.{row}: ${name}: {known}")
    for end in (_first, _last):
        config = search.config(row, {name: end(found) for name, found in search.space_of(row).items()})
        if config.data.evaluate != "valid":
            said = "leave it out; a search scores trials on 'valid' and rows on 'test'"
            raise UserError(f"{source}: data.evaluate: {said}")
    for name in used:
        if not _matters(search, row, name):
            said = f"changes nothing in row '{row}': a later setting overrides it"
            raise UserError(f"{source}: search.space.{name}: {said}")


def _as_used(search: Search, name: str, where: str) -> Range | Choices:
    """Return a range of real numbers, unless a whole number stands where it is used.

    It does not matter how its ends are written.
    """
    found = search.space[name]
    if isinstance(found, Choices) or not found.whole:
        return found
    rows = [row for row, template in search.templates.items() if name in template.names()]
    whole = [row for row in rows if _moves_whole_numbers(search, row, name)]
    if 0 < len(whole) < len(rows):
        real = next(row for row in rows if row not in whole)
        raise UserError(f"{where}: is a whole number in row '{whole[0]}' and a real number in '{real}'; use two ranges")
    return found if whole else replace(found, low=float(found.low), high=float(found.high))


def _moves_whole_numbers(search: Search, row: str, name: str) -> bool:
    """Return whether a range changes a setting that is a whole number.

    The other ranges are at one of their ends.
    """
    space, template = search.space_of(row), search.templates[row]
    found = search.space[name]
    assert isinstance(found, Range)
    for end in (_first, _last):
        values = {other: end(at) for other, at in space.items()}
        for moved in (found.low, found.high, found.low + 1, found.high - 1):
            try:
                before, after = template.config(values), template.config({**values, name: moved})
            except UserError:  # ranges that do not go together there
                continue
            if changed := difference(after, before):
                leaves = [
                    leaf for value in changed.values() for leaf in (value if isinstance(value, list) else [value])
                ]
                return any(type(leaf) is int for leaf in leaves)
    return True  # what allows so few values is no real number


def _matters(search: Search, row: str, name: str) -> bool:
    """Return whether a row depends on a range, seen from the lower ends of the others."""
    first = search.first_values(row)
    try:
        moved = search.config(row, {**first, name: _last(search.space[name])})
    except UserError:  # ranges that do not go together there
        return True
    return moved != search.config(row, first)


def _range(value: Any, where: str) -> Range | Choices:
    allowed = "{from: 1, to: 12}, {from: 1.0e-3, to: 1.0e-2, log: true} or {choices: [a, b]}"
    if not isinstance(value, Mapping) or not set(value) <= set(names(RANGE)):
        raise UserError(f"{where}: got {value!r}, allowed: {allowed}")
    if "choices" in value:
        choices = value["choices"]
        if not isinstance(choices, list) or len(choices) < 2 or len(value) > 1 or NOTHING in choices:
            raise UserError(f"{where}: got {value!r}, allowed: {allowed}")
        return Choices(tuple(choices))
    ends = [value[key] for key in ("from", "to") if type(value.get(key)) in (int, float)]
    log = value.get("log", False)
    if len(ends) < 2 or not ends[0] < ends[1] or not isinstance(log, bool) or (log and ends[0] <= 0):
        raise UserError(f"{where}: got {value!r}, allowed: {allowed}")
    return Range(ends[0], ends[1], log)


def _first(found: Range | Choices) -> Any:
    return found.low if isinstance(found, Range) else found.values[0]


def _last(found: Range | Choices) -> Any:
    return found.high if isinstance(found, Range) else found.values[-1]


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{where}: got {value!r}, allowed: {COUNT}")
    return value
