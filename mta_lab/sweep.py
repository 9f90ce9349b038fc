"""A sweep file -> rows x seeds -> cells. Pure: reads YAML, starts nothing, writes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mta_lab.config import Layer, RunConfig, command_line, difference, resolve, scale_layer
from mta_lab.errors import UserError, nearest

SHIPPED = resources.files("sweeps")
LEDGER = "paper"
KEYS = ("title", "about", "base", "baseline", "rows", "seeds")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table: a configuration (its seed is not meant) and what the paper printed for it."""

    name: str
    config: RunConfig
    baseline: str
    """the row that this row's delta is against; a baseline names itself"""
    difference: Mapping[str, Any]
    """flattened settings that the baseline lacks or sets otherwise"""
    published: Mapping[str, Any]
    """what the paper printed for this row, by quantity; empty where the paper has no such row"""
    references: tuple[str, ...]
    """where the paper printed it, like `table5.11`"""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a sweep: a row under a seed."""

    row: str
    seed: int
    config: RunConfig

    @property
    def label(self) -> str:
        """How people name the cell: row and seed."""
        return f"{self.row} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A resolved sweep file."""

    name: str
    title: str
    about: str
    scale: str
    quantity: str
    """what its scores are: 'perplexity' or 'error_rate'"""
    baseline: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]

    def cells(self) -> list[Cell]:
        """Every row under every seed; a seed is finished over all rows before the next begins."""
        return [
            Cell(row=row.name, seed=seed, config=replace(row.config, seed=seed))
            for seed in self.seeds
            for row in self.rows
        ]


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
    settle: Callable[[RunConfig, RunConfig], RunConfig] = lambda config, baseline: config,
) -> Sweep:
    """Read the shipped sweep `name`, or the file of that path, at `scale`, under the command line's `settings`.

    `settle` gets a row's configuration and the baseline's and returns what the row runs with, where a setting leaves
    that open (`training.precision: auto`).
    Every mistake in it is a UserError that names the file and the key.
    """
    source, file = _read(name)
    for key in file:
        if key not in KEYS:
            raise UserError(f"{source}: {key}: no such key{nearest(key, KEYS) or ';'} allowed: {', '.join(KEYS)}")
    rows, base = file.get("rows"), file.get("base") or {}
    if not isinstance(rows, Mapping) or not rows:
        raise UserError(f"{source}: rows: got {rows!r}, allowed: a mapping of row names to settings")
    if not isinstance(base, Mapping):
        raise UserError(f"{source}: base: got {base!r}, allowed: a mapping of settings")
    baseline = str(file.get("baseline", next(iter(rows))))
    if baseline not in map(str, rows):
        hint = nearest(baseline, map(str, rows))
        raise UserError(f"{source}: baseline: no row named '{baseline}'{hint or ';'} rows: {', '.join(map(str, rows))}")
    below = [scale_layer(scale), Layer(f"{source}: base", base)]
    above = command_line(settings)
    configs, published = {}, {}
    for row, values in rows.items():
        if not isinstance(values, Mapping | None):
            raise UserError(f"{source}: rows.{row}: got {values!r}, allowed: a mapping of settings")
        own = dict(values or {})
        published[str(row)] = own.pop("published", "")
        layers = [*below, Layer(f"{source}: rows.{row}", own), above]
        _refuse_reserved(layers[1:])
        configs[str(row)] = resolve(layers)
    configs = {row: settle(config, configs[baseline]) for row, config in configs.items()}
    _refuse_incomparable(configs, baseline, source)
    count = seeds if seeds is not None else file.get("seeds", 3)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UserError(f"{source}: seeds: got {count!r}, allowed: 1 or more")
    return Sweep(
        name=Path(name).stem,
        title=str(file.get("title", Path(name).stem)),
        about=str(file.get("about", "")).strip(),
        scale=scale,
        quantity=configs[baseline].task.quantity,
        baseline=baseline,
        rows=tuple(
            Row(
                name=row,
                config=config,
                baseline=baseline,
                difference=difference(config, configs[baseline]),
                published=_published(published[row], f"{source}: rows.{row}"),
                references=(published[row],) if published[row] else (),
            )
            for row, config in configs.items()
        ),
        seeds=tuple(range(count)),
    )


def single_run(config: RunConfig) -> Sweep:
    """One run as a sweep of one row under one seed."""
    name = config.attention.name
    row = Row(name=name, config=config, baseline=name, difference={}, published={}, references=())
    return Sweep(
        name="train",
        title="One run",
        about="",
        scale=config.scale,
        quantity=config.task.quantity,
        baseline=row.name,
        rows=(row,),
        seeds=(config.seed,),
    )


def published_value(reference: str, quantity: str, where: str) -> float | None:
    """Look `reference` (like `table5.11`) up in the paper ledger; an empty reference has no value."""
    if not reference:
        return None
    if not isinstance(reference, str):
        raise UserError(f"{where}: published: got {reference!r}, allowed: a row of the paper ledger, like table5.11")
    ledger = _ledger()
    table, _, row = reference.partition(".")
    rows = {str(key): value for key, value in ledger.get(table, {}).items()}
    value = rows.get(row, {}).get(quantity)
    if value is None:
        known = [f"{name}.{key}" for name, rows in ledger.items() for key, row in rows.items() if quantity in row]
        raise UserError(
            f"{where}: published: '{reference}' has no {quantity} in the paper ledger{nearest(reference, known)}"
        )
    return float(value)


def _published(reference: str, where: str) -> Mapping[str, Any]:
    """All that the ledger holds of a row with a perplexity."""
    if published_value(reference, "perplexity", where) is None:
        return {}
    table, _, row = reference.partition(".")
    return {str(key): value for key, value in _ledger()[table].items()}[row]  # type: ignore[no-any-return]


@cache
def _ledger() -> Mapping[str, Any]:
    return _yaml(SHIPPED / f"{LEDGER}.yaml", f"sweeps/{LEDGER}.yaml")


def _refuse_reserved(layers: Sequence[Layer]) -> None:
    """A sweep has one scale and several seeds; a row that set its own would be another row than it says."""
    for layer in layers:
        for key, option in (("scale", "--scale NAME"), ("seed", "--seeds N")):
            if key in layer.values:
                raise UserError(f"{layer.source}: {key}: not a setting of a sweep's rows; use {option}")


def _refuse_incomparable(configs: Mapping[str, RunConfig], baseline: str, source: str) -> None:
    """Rows that are the same run would count as independent; perplexities over other tokens cannot be compared."""
    text = {row: (config.data, config.model.vocabulary) for row, config in configs.items()}
    seen: dict[RunConfig, str] = {}
    for row, config in configs.items():
        if (twin := seen.setdefault(config, row)) != row:
            raise UserError(f"{source}: rows.{row}: the same settings as row '{twin}'; nothing to compare")
        if text[row] != text[baseline]:
            raise UserError(f"{source}: rows.{row}: reads other text or tokens than '{baseline}'; nothing to compare")


def _read(name: str) -> tuple[str, Mapping[str, Any]]:
    """The sweep file of that name or path: how errors call it, and what it holds."""
    if name in shipped_sweeps():
        return f"sweeps/{name}.yaml", _yaml(SHIPPED / f"{name}.yaml", f"sweeps/{name}.yaml")
    path = Path(name)
    if not path.is_file():
        known = shipped_sweeps()
        raise UserError(f"no sweep or file named '{name}'{nearest(name, known) or ';'} sweeps: {', '.join(known)}")
    return name, _yaml(path, name)


def _yaml(path: Any, source: str) -> Mapping[str, Any]:
    try:
        values = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")), resolve=True)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"{source}: not a YAML file that can be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, Mapping):
        raise UserError(f"{source}: allowed: a mapping with {', '.join(KEYS)}")
    return {str(key): value for key, value in values.items()}
