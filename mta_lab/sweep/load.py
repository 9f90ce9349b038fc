"""Reads a sweep file: layers of settings become rows, and what makes no sense as a comparison is refused."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.attention import MultiToken
from mta_lab.config import Layer, RunConfig, command_line, difference, flatten, resolve, scale_layer, scales
from mta_lab.errors import UserError, nearest
from mta_lab.failures import read_retry
from mta_lab.sweep.checks import reads, refuse_incomparable, refuse_reserved, refuse_undeclared
from mta_lab.sweep.files import SHIPPED, read_yaml
from mta_lab.sweep.generate import GENERATORS
from mta_lab.sweep.ledger import LEDGER, published
from mta_lab.sweep.rows import Row, Sweep
from mta_lab.sweep.search import Search, Template, Winners, fill, read_search

KEYS = ("title", "about", "base", "scales", "baseline", "rows", "seeds", "retry", "search")
Settle = Callable[[RunConfig, RunConfig], RunConfig]


@dataclass(frozen=True)
class _RawRow:
    """A row as the file has it, what is said about it apart from its settings."""

    settings: Mapping[str, Any]
    times: Mapping[str, Any]
    published: Any
    against: str


def shipped_sweeps() -> list[str]:
    """The names of the sweeps that come with the project."""
    names = (path.name.removesuffix(".yaml") for path in SHIPPED.iterdir() if path.name.endswith(".yaml"))
    return sorted(name for name in names if name != LEDGER)


def load_sweep(
    name: str,
    *,
    scale: str,
    settings: Sequence[str] = (),
    seeds: int | None = None,
    settle: Settle = lambda config, baseline: config,
    winners: Winners | None = None,
) -> Sweep:
    """Read the shipped sweep `name`, or the file of that path, at `scale`, under the command line's `settings`.

    Layers, later ones first in rank: scale, `base`, row, `scales.<scale>`, command line. `settle` gets a row's
    configuration and its baseline's and returns what the row runs with, where a setting leaves that open
    (`training.precision: auto`). `winners` are the values that a search found, by row and best first. Every mistake in
    the file is a UserError that names it and the key.
    """
    name = _shipped_name(name)
    source, file = _read(name)
    below, above = _shared_layers(file, scale, settings, source)
    refuse_reserved([*below[1:], *above])
    raw = _raw_rows(file, below, above, source)
    search = _search(file, raw, below, above, source)
    written = [row for row in raw if not search or row not in search.templates]
    if search:
        raw = _with_winners(raw, search, winners or {})
    configs = {row: _config(row, raw[row], below, above, source) for row in raw}
    against = _baselines(file, raw, configs, source)
    if search:
        configs = _without_twins(configs, {*written, *against.values()})
        configs = {row: replace(found, data=replace(found.data, evaluate="test")) for row, found in configs.items()}
    configs = {row: settle(config, configs[_last_baseline(row, against, source)]) for row, config in configs.items()}
    refuse_incomparable(configs, against, source)
    rows = []
    for row, config in configs.items():
        base = against[row]
        given = raw[row].published
        quantity = config.task.quantity
        values, references = ({}, ()) if given is None else published(given, quantity, f"{source}: rows.{row}")
        differs = difference(config, configs[base])
        declared = [raw[row].settings, raw[row].times, raw[base].settings, raw[base].times]
        refuse_undeclared(differs, flatten(configs[base]), declared, f"{source}: rows.{row}", base)
        rows.append(
            Row(
                name=row,
                config=config,
                baseline=base,
                difference=differs,
                published=values,
                references=references,
            )
        )
    return Sweep(
        name=Path(name).stem,
        title=_one_line(file.get("title", Path(name).stem)),
        about=str(file.get("about", "")).strip(),
        scale=scale,
        baseline=_default_baseline(file, raw, source),
        rows=tuple(rows),
        seeds=_seeds(file, seeds, source),
        retry=read_retry(file.get("retry"), f"{source}: retry"),
        search=search,
        winners=winners or {},
    )


def _shared_layers(
    file: Mapping[str, Any], scale: str, settings: Sequence[str], source: str
) -> tuple[list[Layer], list[Layer]]:
    """The layers below a row's own, and those above it."""
    for key in file:
        if key not in KEYS:
            raise UserError(f"{source}: {key}: no such key{nearest(key, KEYS) or ';'} allowed: {', '.join(KEYS)}")
    special = _mapping(file.get("scales"), f"{source}: scales", "scales, each with a mapping of settings")
    for name in special:
        if name not in scales():
            hint = nearest(str(name), scales()) or ";"
            raise UserError(f"{source}: scales.{name}: no such scale{hint} known: {', '.join(scales())}")
    here = f"{source}: scales.{scale}"
    base = Layer(f"{source}: base", _mapping(file.get("base"), f"{source}: base", "settings"))
    at_scale = Layer(here, _mapping(special.get(scale), here, "settings"))
    return [scale_layer(scale), base], [at_scale, command_line(settings)]


def _raw_rows(
    file: Mapping[str, Any], below: Sequence[Layer], above: Sequence[Layer], source: str
) -> dict[str, _RawRow]:
    """The rows by name, as they are written or generated."""
    rows = file.get("rows")
    if isinstance(rows, str):
        if rows not in GENERATORS:
            hint = nearest(rows, GENERATORS) or ";"
            raise UserError(f"{source}: rows: got '{rows}'{hint} allowed: a mapping, or {', '.join(GENERATORS)}")
        full = resolve([*below, *above]).attention
        if not isinstance(full, MultiToken):
            raise UserError(f"{source}: base: attention: got '{full.name}', allowed with rows: {rows}: multi_token")
        rows = GENERATORS[rows](full)
    if not isinstance(rows, Mapping) or not rows:
        raise UserError(f"{source}: rows: got {rows!r}, allowed: a mapping of row names to settings")
    for row in rows:
        if "=" in str(row):  # on a command line it would be a setting
            raise UserError(f"{source}: rows.{row}: a row's name has no '='")
    return {str(row): _raw_row(values, f"{source}: rows.{row}") for row, values in rows.items()}


def _raw_row(values: Any, where: str) -> _RawRow:
    own = dict(_mapping(values, where, "settings"))
    times = _mapping(own.pop("times", None), f"{where}: times", "settings to factors")
    reference, against = own.pop("published", None), str(own.pop("against", ""))
    refuse_reserved([Layer(where, own)])
    return _RawRow(own, times, reference, against)


def _search(
    file: Mapping[str, Any], raw: Mapping[str, _RawRow], below: Sequence[Layer], above: Sequence[Layer], source: str
) -> Search | None:
    if "search" not in file:
        return None

    def template(row: str) -> Template:
        def build(settings: Mapping[str, Any], times: Mapping[str, Any]) -> RunConfig:
            return _config(row, replace(raw[row], settings=settings, times=times), below, above, source)

        return Template(raw[row].settings, raw[row].times, build)

    return read_search(file["search"], {row: template(row) for row in raw}, source)


def _with_winners(raw: Mapping[str, _RawRow], search: Search, winners: Winners) -> dict[str, _RawRow]:
    """The rows with the templates' at the values that won, each further winner a row of its own."""
    found = {}
    for row, values in raw.items():
        if row not in search.templates:
            found[row] = values
            continue
        best = winners[row].values if row in winners else []
        for rank, chosen in enumerate(best or [search.first_values(row)], start=1):
            name = row if rank == 1 else f"{row} #{rank}"
            found[name] = replace(values, settings=fill(values.settings, chosen), times=fill(values.times, chosen))
    return found


def _without_twins(configs: Mapping[str, RunConfig], stay: Collection[str]) -> dict[str, RunConfig]:
    """The rows less those that a search has brought to the settings of another row."""
    taken = {configs[row] for row in stay}
    kept = {}
    for row, config in configs.items():
        if row in stay or config not in taken:
            kept[row] = config
            taken.add(config)
    return kept


def _config(row: str, raw: _RawRow, below: Sequence[Layer], above: Sequence[Layer], source: str) -> RunConfig:
    """The row's configuration; `times` multiplies what all layers below the command line come to."""
    where = f"{source}: rows.{row}"
    row_layer = Layer(where, raw.settings)
    if not raw.times:
        return resolve([*below, row_layer, *above])
    before = flatten(resolve([*below, row_layer, *above[:-1]]))
    products: dict[str, Any] = {}
    for key, factor in raw.times.items():
        if not isinstance(before.get(key), int | float):
            numbers = [name for name, value in before.items() if isinstance(value, int | float)]
            raise UserError(f"{where}: times.{key}: no setting with a number{nearest(str(key), numbers)}")
        if not isinstance(factor, int | float) or isinstance(factor, bool) or factor <= 0:
            raise UserError(f"{where}: times.{key}: got {factor!r}, allowed: a factor above 0")
        product = before[key] * factor
        products[key] = round(product) if isinstance(before[key], int) and product == round(product) else product
    return resolve([*below, row_layer, *above[:-1], Layer(f"{where}: times", products), above[-1]])


def _default_baseline(file: Mapping[str, Any], raw: Mapping[str, _RawRow], source: str) -> str:
    baseline = str(file.get("baseline", next(iter(raw))))
    return _known_row(baseline, raw, f"{source}: baseline")


def _baselines(
    file: Mapping[str, Any], raw: Mapping[str, _RawRow], configs: Mapping[str, RunConfig], source: str
) -> dict[str, str]:
    """The baseline of each row: the one that it names, or else the sweep's.

    A row that others name is compared with the sweep's baseline all the same, unless the two read other text or tasks.
    """
    named = {
        row: _known_row(values.against, raw, f"{source}: rows.{row}: against")
        for row, values in raw.items()
        if values.against
    }
    usual = _default_baseline(file, raw, source)
    apart = {row for row in named.values() if reads(configs[row]) != reads(configs[usual])}
    found = {row: named.get(row, row if row in apart else usual) for row in raw}
    for row in found:
        _last_baseline(row, found, source)
    return found


def _last_baseline(row: str, against: Mapping[str, str], source: str) -> str:
    """The row that `row` is compared with in the end: the baseline of its baseline, and so on; a circle is refused."""
    passed = [row]
    while (baseline := against[passed[-1]]) != passed[-1]:
        if baseline in passed:
            circle = "' against '".join([*passed, baseline])
            raise UserError(f"{source}: rows.{row}: against: goes round in a circle: '{circle}'")
        passed.append(baseline)
    return passed[-1]


def _known_row(name: str, raw: Mapping[str, _RawRow], where: str) -> str:
    if name not in raw:
        raise UserError(f"{where}: no row named '{name}'{nearest(name, raw) or ';'} rows: {', '.join(raw)}")
    return name


def _one_line(title: Any) -> str:
    """A title as a terminal and a heading can take it: no line breaks, nothing that steers a terminal."""
    return "".join(letter for letter in " ".join(str(title).split()) if letter.isprintable())


def _seeds(file: Mapping[str, Any], asked: int | None, source: str) -> tuple[int, ...]:
    count = asked if asked is not None else file.get("seeds", 3)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UserError(f"{source}: seeds: got {count!r}, allowed: 1 or more")
    return tuple(range(count))


def _mapping(value: Any, where: str, of: str) -> Mapping[str, Any]:
    """`value` if it is a mapping, an empty one for None."""
    if not isinstance(value, Mapping | None):
        raise UserError(f"{where}: got {value!r}, allowed: a mapping of {of}")
    return value or {}


def _shipped_name(name: str) -> str:
    """Return the shipped sweep's name where dashes stand for its underscores, else `name`; a file goes first."""
    meant = name.replace("-", "_")
    return meant if meant in shipped_sweeps() and not Path(name).is_file() else name


def _read(name: str) -> tuple[str, Mapping[str, Any]]:
    """The sweep file of that name or path: how errors call it, and what it holds."""
    if name in shipped_sweeps():
        return f"sweeps/{name}.yaml", read_yaml(SHIPPED / f"{name}.yaml", f"sweeps/{name}.yaml")
    path = Path(name)
    if not path.is_file():
        known = shipped_sweeps()
        raise UserError(f"no sweep or file named '{name}'{nearest(name, known) or ';'} sweeps: {', '.join(known)}")
    return name, read_yaml(path, name)
