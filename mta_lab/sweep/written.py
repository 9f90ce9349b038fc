"""A sweep file as it is written: its keys, its rows and what each says apart from settings."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from components.evaluations import TextEvaluation
from mta_lab.config import NOTHING, Layer, RunConfig, component_of, read_yaml, scales
from mta_lab.errors import UserError, nearest
from mta_lab.plugins import load_components
from mta_lab.sweep.checks import refuse_reserved, settings_of
from mta_lab.sweep.conditions import Condition, read_condition
from mta_lab.sweep.evidence import EQUAL_WITHIN, read_looks, read_share, refuse_later_seeds
from mta_lab.sweep.files import SHIPPED
from mta_lab.sweep.grid import made_rows
from mta_lab.sweep.keys import FILE, ROW, SEEDS, names
from mta_lab.sweep.ledger import LEDGER
from mta_lab.sweep.stages import Stage, chosen, read_stages

TEXTS = ("title", "about", "baseline", "against", "published")  # names and prose, which may look like a number
RUN_SETTINGS = {field.name for field in fields(RunConfig)} - {"scale", "seed"}  # a file has `scales` and `seeds`
EVALUATE = "evaluate"
SECTIONS = tuple(field.name for field in fields(RunConfig))
MOST_SEEDS = 100_000  # of a row: every run of a plan is listed


@dataclass(frozen=True)
class RawRow:
    """A row of the file, or made by a `grid` or `zip`, and what it says beside its settings."""

    where: str
    """its place in the file, for errors"""
    settings: Mapping[str, Any]
    times: Mapping[str, Any]
    published: Any
    against: str
    condition: Condition | None
    stages: tuple[Stage, ...] = ()
    """the runs that go on from its own, the last of which it stands for"""

    @property
    def sets(self) -> frozenset[str]:
        """Return the keys, dotted, that it or one of its stages sets or multiplies."""
        return frozenset(settings_of(self.settings) | self.times.keys()).union(*(one.sets for one in self.stages))


@dataclass(frozen=True)
class SweepFile:
    """The contents of a sweep file; `source` is its name in errors."""

    source: str
    path: Path
    values: Mapping[str, Any]

    def text(self, key: str, default: str) -> str:
        """Return the text behind `key`."""
        found = self.values.get(key, default)
        if not isinstance(found, str):
            raise UserError(f"{self.source}: {key}: got {found!r}, allowed: a text")
        return found

    def base(self) -> Layer:
        """Return the settings that every row starts from."""
        where = f"{self.source}: base"
        return Layer(where, _mapping(self.values.get("base"), where, "settings"))

    def at_scale(self, scale: str) -> Layer:
        """Return the settings that hold at one scale, above every row's."""
        settings = {key: value for key, value in self._special(scale).items() if key != EVALUATE}
        return Layer(f"{self.source}: scales.{scale}", settings)

    def evaluations(self, scale: str) -> tuple[TextEvaluation, ...]:
        """Return what finished runs are asked at a scale."""
        special = self._special(scale)
        where = f"{self.source}: {f'scales.{scale}.' if EVALUATE in special else ''}{EVALUATE}"
        given = special.get(EVALUATE, self.values.get(EVALUATE, []))
        if not isinstance(given, list):
            raise UserError(f"{where}: got {given!r}, allowed: a list of evaluations, like [needles]")
        found = [component_of("evaluations", one, where) for one in given]
        for one in found:
            if not isinstance(one, TextEvaluation):
                allowed = "write it below base: as evaluations: [...]; allowed here: those that ask questions"
                raise UserError(f"{where}: '{one.name}' is an evaluation of a validation; {allowed}")
        return tuple(one for one in found if isinstance(one, TextEvaluation))

    def _special(self, scale: str) -> Mapping[str, Any]:
        """Return what the file says for one scale."""
        special = _mapping(
            self.values.get("scales"), f"{self.source}: scales", "scales, each with a mapping of settings"
        )
        for name in special:
            if name not in scales():
                hint = nearest(name, scales()) or ";"
                raise UserError(f"{self.source}: scales.{name}: no such scale{hint} known: {', '.join(scales())}")
        return _mapping(special.get(scale), f"{self.source}: scales.{scale}", "settings")

    def seeds(self, scale: str, given: int | None = None) -> tuple[int, ...]:
        """Return the seeds: as many as are `given` on the command line, or else the file's.

        As many as the last look has, where the file has looks for this scale, or looks and no
        seeds. They count from 0, or are the first of those that the file names.
        """
        looks, where = self.looks(scale), f"{self.source}: seeds"
        usual, by_scale = looks[-1] if looks else SEEDS, isinstance(self.values.get("looks"), Mapping)
        written = self.values.get("seeds", usual)
        named = _named_seeds(written, where) if isinstance(written, list) else ()
        count = len(named) or (usual if looks and by_scale else written)
        if given is not None:
            where, count = "--seeds", given
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_SEEDS:
            raise UserError(f"{where}: got {count!r}, allowed: 1 to {MOST_SEEDS:,}")
        refuse_later_seeds(count, looks, f"{self.source}: looks", where)
        if named and count > len(named):
            more = f"{self.source}: seeds names {len(named)}, {list(named)}; name more there"
            raise UserError(f"{where}: got {count}, but {more}")
        return named[:count] or tuple(range(count))

    def looks(self, scale: str) -> tuple[int, ...]:
        """Return the numbers of seeds at which verdicts are given; none: at all seeds."""
        return read_looks(self.values.get("looks"), scale, f"{self.source}: looks")

    def equal_within(self) -> float:
        """Return the largest difference that counts as equal, as a share."""
        return read_share(self.values.get("equal_within", EQUAL_WITHIN), f"{self.source}: equal_within")

    def components(self) -> tuple[Path, ...]:
        """Load the user's components that the file names; return their paths.

        Paths in the file are relative to its folder.
        """
        where = f"{self.source}: components"
        named = self.values.get("components", [])
        if not isinstance(named, list) or not all(isinstance(name, str) and name for name in named):
            raise UserError(f"{where}: got {named!r}, allowed: a list of files, like [key_shift.py]")
        paths = tuple((self.path.parent / name).resolve() for name in named)
        load_components(paths, where)
        return paths

    def rows(self, found: Any) -> dict[str, RawRow]:
        """Return the rows by name that `found` makes: rows as they are written or generated."""
        if not isinstance(found, Mapping) or not found:
            raise UserError(f"{self.source}: rows: got {found!r}, allowed: a mapping of row names to settings")
        made = made_rows(found, self._ranges(), self.source)
        for row, (_, where) in made.items():
            if "=" in row:  # on a command line it would be a setting
                raise UserError(f"{where}: a row's name cannot contain '='")
            if not row.isprintable():
                bad = next(letter for letter in row if not letter.isprintable())
                raise UserError(f"{where}: a row's name cannot contain {bad!a}, which cannot be printed")
        stages = self._stages()
        return {row: _raw_row(values, where, stages) for row, (values, where) in made.items()}

    def _stages(self) -> dict[str, Stage]:
        given = _mapping(self.values.get("stages"), f"{self.source}: stages", "names of stages to their settings")
        return read_stages(given, self.source)

    def _ranges(self) -> Collection[str]:
        """Return the names of the ranges of `search`, if any; they are checked elsewhere."""
        search = self.values.get("search")
        space = search.get("space") if isinstance(search, Mapping) else None
        return space.keys() if isinstance(space, Mapping) else ()


def shipped_sweeps() -> list[str]:
    """Return the names of the sweeps that come with the project."""
    names = (path.name.removesuffix(".yaml") for path in SHIPPED.iterdir() if path.name.endswith(".yaml"))
    return sorted(name for name in names if name != LEDGER)


def read_sweep(name: str) -> SweepFile:
    """Read a shipped sweep or the file of that path: known keys, each with a value."""
    name = _shipped_name(name)
    shipped = name in shipped_sweeps()
    path = SHIPPED / f"{name}.yaml" if shipped else Path(name)
    source = f"sweeps/{name}.yaml" if shipped else name
    if not os.path.isfile(str(path)):  # which, unlike Path's, raises nothing for odd names
        known = shipped_sweeps()
        raise UserError(f"no sweep or file named '{name}'{nearest(name, known) or ';'} sweeps: {', '.join(known)}")
    values = read_yaml(path, source, TEXTS)
    for key, value in values.items():
        if key.partition(".")[0] in RUN_SETTINGS:
            place = "write it below base: for every row, or in a row of rows:; docs/sweeps.md shows how"
            raise UserError(f"{source}: {key}: is a setting of a run: {place}")
        if key not in names(FILE):
            hint, allowed = nearest(key, names(FILE)) or ";", ", ".join(names(FILE))
            raise UserError(f"{source}: {key}: no such key{hint} allowed: {allowed}; `mta-lab settings` explains them")
        if key not in ("base", "scales"):
            _refuse_nothing(value, f"{source}: {key}")
    return SweepFile(source, Path(str(path)), values)


def _shipped_name(name: str) -> str:
    """Return the shipped sweep of that name with dashes for underscores, else `name`.

    A file goes first.
    """
    meant = name.replace("-", "_")
    return meant if meant in shipped_sweeps() and not os.path.isfile(name) else name


def _raw_row(values: Any, where: str, stages: Mapping[str, Stage]) -> RawRow:
    own = dict(_mapping(values, where, "settings"))
    times = _mapping(own.pop("times", None), f"{where}: times", "settings to factors")
    for key in ("published", "against", "if", "stages"):
        _refuse_nothing(own.get(key), f"{where}: {key}")
    published, against = own.pop("published", None), own.pop("against", "")
    condition = read_condition(own.pop("if", None), f"{where}: if")
    named = chosen(own.pop("stages"), stages, f"{where}: stages") if "stages" in own else ()
    if not isinstance(against, str):
        raise UserError(f"{where}: against: got {against!r}, allowed: the name of a row")
    refuse_reserved([Layer(where, own)])
    for key in own:
        if "." not in key and key not in SECTIONS:
            known = (*SECTIONS, *names(ROW))
            raise UserError(f"{where}: {key}: no such key{nearest(key, known) or ';'} allowed: {', '.join(known)}")
    return RawRow(where, own, times, published, against, condition, named)


def _named_seeds(written: list[Any], where: str) -> tuple[int, ...]:
    """Return the seeds that a file names; raise UserError unless they are whole, and each once."""
    right = written and all(type(seed) is int and seed >= 0 for seed in written)
    if not right or len({*written}) < len(written):
        raise UserError(f"{where}: got {written!r}, allowed: how many, or whole numbers, each once, like [3, 7, 11]")
    return tuple(written)


def _mapping(value: Any, where: str, of: str) -> Mapping[str, Any]:
    """`value` if it is a mapping, an empty one for nothing."""
    if value not in (None, NOTHING) and not isinstance(value, Mapping):
        raise UserError(f"{where}: got {value!r}, allowed: a mapping of {of}")
    return value or {}


def _refuse_nothing(value: Any, where: str) -> None:
    if value is NOTHING:
        raise UserError(f"{where}: got nothing; leave the key out for the default")
