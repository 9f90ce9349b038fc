"""`grid:` and `zip:` in a row of a sweep file: one written row makes several.

    rows:
      $queriesx$keys:
        grid: {$queries: [1, 6], $keys: [1, 11]}
        attention.pre_softmax: [{name: key_query, kernel: [$queries, $keys]}]

makes the rows 1x1, 1x11, 6x1 and 6x11. Under `grid` stands each value with each, under `zip` the
first values together, then the second ones, and so on. A key is a setting, dotted or nested, or a
`$NAME`, which the row uses in its settings, in `times`, `against` and `published`, and in its own
name. A `$NAME` may have names in place of values, each with what its rows get: `$size: {half:
{times: {model.width: 0.5}}, whole: {}}`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from mta_lab.config import NOTHING, InvalidError, nested
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.keys import BESIDE, VARIED
from mta_lab.sweep.placeholders import SIGN, check_names, filled, label, labelled
from mta_lab.words import counted

MOST_ROWS = 10_000  # of one written row: each is resolved and listed
VALUES = "a list of values"
NAMED = f"{VALUES}, or names, each with a mapping of settings"


@dataclass(frozen=True)
class Point:
    """One value of each key that is varied together."""

    values: Mapping[str, Any]
    """what stands for each `$NAME`"""
    labels: tuple[str, ...]
    """the values as the row's name shows them"""
    contents: tuple[Mapping[str, Any], ...]
    """what the row gets besides"""


def made_rows(rows: Mapping[str, Any], ranges: Collection[str], source: str) -> dict[str, tuple[Any, str]]:
    """Return each row's contents and its place in the file, by name and in the file's order.

    `ranges` are the names of `search.space`, whose `$NAME` stays. Raises UserError for values that
    make no row, for a `$NAME` that nothing gives or uses, and for a name that two rows would have.
    """
    found: dict[str, tuple[Any, str]] = {}
    makers: dict[str, str] = {}
    for written, values in rows.items():
        where = f"{source}: rows.{written}"
        varied = isinstance(values, Mapping) and any(key in values for key in VARIED)
        for name, row in _made(written, values, ranges, where) if varied else [(written, values)]:
            if makers.get(name) == written:
                advice = f"put every {SIGN}NAME that is varied into the row's name"
                raise UserError(f"{where}: makes two rows named '{name}'; {advice}, and vary no value twice")
            if name in makers or (name != written and name in rows):
                other = makers.get(name, name)
                raise UserError(
                    f"{where}: makes a row '{name}', which rows.{other} is or makes, too; rename one of them"
                )
            makers[name] = written
            found[name] = row, f"{where} ({name})" if varied else where
    return found


def _made(written: str, values: Mapping[str, Any], ranges: Collection[str], where: str) -> Iterator[tuple[str, Any]]:
    """Yield name and contents of each row that a written one makes."""
    axes = [axis for key in values if key in VARIED for axis in _axes(key, values[key], f"{where}: {key}")]
    if (count := prod(map(len, axes))) > MOST_ROWS:
        raise UserError(f"{where}: makes {counted(count, 'row')}, allowed: at most {MOST_ROWS:,}")
    own = {key: value for key, value in values.items() if key not in VARIED}
    by_row = own.pop("published") if isinstance(own.get("published"), Mapping) else {}
    names = _names(written, own, axes, ranges, where)
    made: list[str] = []
    for points in product(*axes):
        chosen = {name: value for point in points for name, value in point.values.items()}
        name = labelled(written, chosen, names)
        if name == written:
            name = f"{written} {', '.join(text for point in points for text in point.labels)}"
        made.append(name)
        parts = [own, *(part for point in points for part in point.contents)]
        extra = [{"published": by_row[name]}] if name in by_row else []
        yield name, _combined([*(filled(part, chosen, names) for part in parts), *extra], f"{where} ({name})")
    for name in by_row:
        if name not in made:
            hint, some = nearest(name, made) or ";", ", ".join(made[:20])
            raise UserError(f"{where}: published.{name}: no row of this name is made here{hint} rows: {some}")


def _names(
    written: str, own: Mapping[str, Any], axes: Sequence[Sequence[Point]], ranges: Collection[str], where: str
) -> set[str]:
    """Return the names that may follow a `$`: the varied ones and those of `search`.

    Each varied one must be used.
    """
    varied = {name for axis in axes for name in axis[0].values}
    if both := sorted(varied & set(ranges)):
        raise UserError(f"{where}: {SIGN}{both[0]}: search.space has a range of this name, too; rename one of them")
    names = {*varied, *ranges}
    contents = [part for axis in axes for point in axis for part in point.contents]
    check_names(written, names, where)
    used = check_names([own, contents], names, where)
    named = {name for axis in axes for point in axis for name in point.values if point.contents}
    if unused := sorted(varied - used - named):
        raise UserError(f"{where}: {SIGN}{unused[0]}: no setting of the row uses it; use it, or take it out")
    return names


def _axes(kind: str, given: Any, where: str) -> list[list[Point]]:
    """Return what is varied, each as its points.

    Every key of a `grid` varies for itself; all keys of a `zip` vary together.
    """
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"{where}: got {given!r}, allowed: a mapping of settings or {SIGN}NAMEs to lists")
    if inner := [key for key in given if key in VARIED]:
        raise UserError(f"{where}.{inner[0]}: got one within another, allowed: settings and {SIGN}NAMEs")
    axes: dict[str, list[Point]] = {}
    for key, points in _columns(given, where):
        if key in axes:
            raise UserError(f"{where}.{key}: is varied twice; keep one")
        axes[key] = points
    if kind == "grid":
        return [*axes.values()]
    (first, usual), *others = axes.items()
    for key, points in others:
        if len(points) != len(usual):
            raise UserError(
                f"{where}.{key}: has {counted(len(points), 'value')} and {first} has {len(usual)}; allowed: as many"
            )
    return [[_together(points) for points in zip(*axes.values(), strict=True)]]


def _columns(given: Mapping[str, Any], where: str, prefix: str = "") -> Iterator[tuple[str, list[Point]]]:
    """Yield each key, dotted, with its points.

    A mapping below a setting is a section of settings.
    """
    for key, values in given.items():
        dotted = f"{prefix}{key}"
        name = dotted.removeprefix(SIGN)
        placeholder = name != dotted and name.isidentifier()
        if isinstance(values, Mapping) and values and not placeholder:
            yield from _columns(values, where, f"{dotted}.")
        elif not isinstance(values, list | Mapping) or not values:
            raise UserError(f"{where}.{dotted}: got {values!r}, allowed: {NAMED if placeholder else VALUES}, not empty")
        elif isinstance(values, Mapping):
            yield dotted, [_named(name, text, part, f"{where}.{dotted}.{text}") for text, part in values.items()]
        elif NOTHING in values:
            raise UserError(f"{where}.{dotted}: got nothing as value {values.index(NOTHING) + 1}; write a value")
        elif placeholder:
            yield dotted, [Point({name: value}, (label(value),), ()) for value in values]
        else:
            yield dotted, [Point({}, (label(value),), ({dotted: value},)) for value in values]


def _named(name: str, text: str, part: Any, where: str) -> Point:
    if part is not NOTHING and not isinstance(part, Mapping):
        raise UserError(f"{where}: got {part!r}, allowed: a mapping of settings")
    return Point({name: text}, (text,), (part,) if isinstance(part, Mapping) else ({},))


def _together(points: Sequence[Point]) -> Point:
    return Point(
        {name: value for point in points for name, value in point.values.items()},
        tuple(text for point in points for text in point.labels),
        tuple(part for point in points for part in point.contents),
    )


def _combined(parts: Sequence[Mapping[str, Any]], where: str) -> dict[str, Any]:
    """Return one row out of its parts; what two of them set, dotted or nested, is refused."""
    beside: dict[str, Any] = {}
    for part in parts:
        for key in BESIDE:
            if key not in part:
                continue
            both = isinstance(part[key], Mapping) and isinstance(beside.get(key), Mapping)
            if key in beside and (not both or part[key].keys() & beside[key].keys()):
                raise UserError(f"{where}: {key}: is set twice; keep one")
            beside[key] = {**beside[key], **part[key]} if both else part[key]
    settings = [(key, value) for part in parts for key, value in part.items() if key not in BESIDE]
    try:
        return {**nested(settings), **beside}
    except InvalidError as error:
        raise UserError(f"{where}: {error.key}: {error}") from None
