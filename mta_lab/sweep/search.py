"""`search:` in a sweep file: rows are templates, and `$name` stands for a value of a range.

The table of such a sweep has the winners as rows. They are chosen by validation on a random stream
of their own, and trained and scored anew under the sweep's seeds, on the test text or sequences
that the search never saw.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, Literal, get_args

from mta_lab.config import NOTHING, RunConfig, difference, identity_of, plain
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.checks import reads
from mta_lab.sweep.keys import COUNT, PRUNER, RANGE, SAMPLER, SEARCH, TRIALS, WINNERS, names
from mta_lab.sweep.placeholders import SIGN, filled, texts

STREAM = "search"
MOST_POINTS = 10_000  # of a grid
SamplerName = Literal["tpe", "random", "grid"]
Ending = Literal["complete", "pruned", "failed"]
PrunerName = Literal["median", "hyperband", "none"]


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


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial that has ended."""

    number: int
    values: Mapping[str, Any]
    score: float | None
    """of a pruned trial its last one; None where it failed"""
    state: Ending


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The trials of a row's search, and what they tell."""

    trials: Sequence[Tried]
    importance: Mapping[str, float]
    """by range, shares that add up to 1; empty where too few trials ran to their end"""


@dataclass(frozen=True, kw_only=True)
class Method:
    """The way in which values are proposed, and trials are ended early."""

    sampler: SamplerName = SAMPLER
    pruner: PrunerName = PRUNER
    steps: int = 1
    """optimizer steps of a trial"""
    every: int = 1
    """steps from one validation to the next"""


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
    sampler: SamplerName = SAMPLER
    pruner: PrunerName = PRUNER
    grids: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """of the sampler `grid`: every point of each template that can be built"""

    def trials_of(self, row: str) -> int:
        """Return how many trials a template has: of a grid, one a point."""
        return len(self.grids[row]) if row in self.grids else self.trials

    def method(self, row: str) -> Method:
        """Return how a template is searched."""
        training = self.config(row, self.first_values(row)).training
        every = max(1, training.steps // training.validations)
        return Method(sampler=self.sampler, pruner=self.pruner, steps=training.steps, every=every)

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
    sampler: SamplerName = _one_of(section.get("sampler", SAMPLER), get_args(SamplerName), f"{where}.sampler")
    usual = "none" if sampler == "grid" else PRUNER
    if sampler == "grid" and "trials" in section:
        raise UserError(f"{where}.trials: a grid has a trial for each of its points; leave it out")
    search = Search(
        sampler=sampler,
        pruner=_one_of(section.get("pruner", usual), get_args(PrunerName), f"{where}.pruner"),
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
    search = replace(search, space={name: _as_used(search, name, f"{where}.space.{name}") for name in ranges})
    return replace(search, grids=_grids(search, where)) if sampler == "grid" else search


def _grids(search: Search, where: str) -> dict[str, list[dict[str, Any]]]:
    """Return every point of each template that can be built, the last range varying fastest."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in search.templates:
        values = {name: _every_value(one, f"{where}.space.{name}") for name, one in search.space_of(row).items()}
        count = math.prod(map(len, values.values()))
        if count > MOST_POINTS:
            raise UserError(f"{where}: the grid of row '{row}' has {count:,} points, allowed: {MOST_POINTS:,}")
        found[row] = []
        for point in product(*values.values()):
            with suppress(UserError):  # values that do not go together
                search.config(row, chosen := dict(zip(values, point, strict=True)))
                found[row].append(chosen)
    return found


def _every_value(found: Range | Choices, where: str) -> Sequence[Any]:
    if isinstance(found, Choices):
        return found.values
    if not found.whole or found.log:
        raise UserError(f"{where}: a grid needs its values: {{choices: [...]}}, or whole numbers from one to another")
    return range(int(found.low), int(found.high) + 1)


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
        if _moves_text(search, row, name):
            said = f"changes the text or tokens that trials of '{row}' are scored on; they could not be compared"
            raise UserError(f"{source}: search.space.{name}: {said}")
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


def _moves_text(search: Search, row: str, name: str) -> bool:
    """Return whether some value of a range has trials scored on other text, tokens or tasks."""
    first, found = search.first_values(row), search.space[name]
    read = reads(search.config(row, first))
    for value in found.values if isinstance(found, Choices) else (found.high,):
        with suppress(UserError):  # ranges that do not go together there
            if reads(search.config(row, {**first, name: value})) != read:
                return True
    return False


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


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> Any:
    if value not in allowed:
        raise UserError(f"{where}: got {value!r}{nearest(str(value), allowed) or ';'} allowed: {', '.join(allowed)}")
    return value


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{where}: got {value!r}, allowed: {COUNT}")
    return value
