"""Read the factors of a table from its rows' settings: what varies, and in which rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mta_lab.config import RunConfig, in_words, plain
from mta_lab.stats.contrasts import Array

Levels = Mapping[str, str | None]
"""row -> its level of one setting; None where the row has no such setting"""
OPERATION = ": "
"""in the name of a setting that is an operation's presence in a list: `pre_softmax: key_query`"""
NO_FACTORS = ("seed", "stream", "scale", "attention.impl")
"""settings that change no row's model, or are its label"""
FAMILY = "attention."
"""the beginning of most settings' names, which is left out"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a design: the rows in which a setting has a level that the baseline lacks."""

    names: tuple[str, ...]
    """`norm: gate`; several where they stand in the same rows, and so share one effect"""
    settings: tuple[str, ...]
    """the settings of these levels; `norm`, which other columns may have, too"""
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Design:
    """Factors over the rows of a table."""

    rows: tuple[str, ...]
    """the rows that the factors describe"""
    columns: tuple[Column, ...]
    baseline: str
    """the row whose levels the others are compared with"""
    left_out: tuple[str, ...]
    """rows of another attention than most, which has other settings"""
    beyond: tuple[str, ...]
    """settings that differ, too, and are no factor: they go into the lack of fit"""

    @property
    def matrix(self) -> Array:
        """Return the rows x columns, 1 where a column's rows are."""
        return np.array([[float(row in column.rows) for column in self.columns] for row in self.rows])


def design_of(rows: Mapping[str, RunConfig], baseline: str) -> Design:
    """Return the design of `rows` (name -> settings), with levels compared with `baseline`'s.

    Attention is compared in its form of operations and a norm. A list of numbers is one factor for
    each of them. A setting that only some rows have, as the kernel of an operation, is a factor if
    each of its values stands in two rows, and if no other factor decides it in these rows.
    """
    same = {name: replace(config, attention=config.attention.in_operations()) for name, config in rows.items()}
    usual = Counter(config.attention.name for config in same.values()).most_common(1)[0][0]
    found = {
        name: dict(_levels({key: value for key, value in plain(config, later=True).items() if key != "parent"}))
        for name, config in same.items()
        if config.attention.name == usual
    }
    settings = dict.fromkeys(setting for levels in found.values() for setting in levels)
    told = {setting: {row: _level(levels, setting) for row, levels in found.items()} for setting in settings}
    varying = {setting: levels for setting, levels in told.items() if len({*levels.values()} - {None}) > 1}
    whole = [levels for levels in varying.values() if None not in levels.values()]
    beyond = [
        setting for setting, levels in varying.items() if None in levels.values() and not _is_factor(levels, whole)
    ]
    base = baseline if baseline in found else next(iter(found))
    return Design(
        rows=tuple(found),
        columns=_columns({setting: varying[setting] for setting in varying if setting not in beyond}, base),
        baseline=base,
        left_out=tuple(name for name in rows if name not in found),
        beyond=tuple(dict.fromkeys(_short(setting).partition("[")[0] for setting in beyond)),
    )


def _is_factor(levels: Levels, whole: Sequence[Levels]) -> bool:
    """Return True if a setting of some rows varies by itself, and no level of it in one row only.

    `whole` has the settings of all rows.
    """
    there = {row: level for row, level in levels.items() if level is not None}
    decided = any(len({(other[row], there[row]) for row in there}) == len({other[row] for row in there})
                  for other in whole)  # fmt: skip
    return min(Counter(there.values()).values()) > 1 and not decided


def _columns(factors: Mapping[str, Levels], base: str) -> tuple[Column, ...]:
    """Return a column for each level but that of `base`; settings that go together share one."""
    columns: dict[tuple[str, ...], dict[str, str]] = {}
    for setting, levels in factors.items():
        counts = Counter(level for level in levels.values() if level is not None)
        reference = levels[base] if levels[base] is not None else counts.most_common(1)[0][0]
        for level in dict.fromkeys(levels.values()):
            if level not in (None, reference):
                where = tuple(row for row, value in levels.items() if value == level)
                columns.setdefault(where, {})[_short(_named(setting, level))] = _short(setting)
    return tuple(
        Column(names=tuple(named), settings=tuple(named.values()), rows=where) for where, named in columns.items()
    )


def _levels(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a configuration's settings; a component in a list is named by the list and itself."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            name = f"{prefix}.{key}" if prefix else key
            if name not in NO_FACTORS:
                yield from _levels(value, prefix if key == "name" and prefix else name)
    elif isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        for item in tree:
            yield f"{prefix}{OPERATION}{item['name']}", True
            settings = {key: value for key, value in item.items() if key != "name"}
            yield from _levels(settings, f"{prefix}.{item['name']}")
    elif isinstance(tree, list):
        for place, item in enumerate(tree):
            yield f"{prefix}[{place}]", item
    else:
        yield prefix, tree


def _level(levels: Mapping[str, Any], setting: str) -> str | None:
    """Return a row's level of a setting as text; None where the row has no such setting."""
    if OPERATION in setting:
        return "" if setting in levels else "no "
    return in_words(levels[setting]) if setting in levels else None


def _named(setting: str, level: str) -> str:
    return f"{level}{setting}" if OPERATION in setting else f"{setting}: {level}"


def _short(name: str) -> str:
    return name.replace(FAMILY, "", 1)
