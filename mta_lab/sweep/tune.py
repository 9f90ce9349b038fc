"""`tune:` in a sweep file: each row at its own best value of a setting, such as the learning rate.

Every row is first run at the values of a bracket, which is widened while the best is at its edge.
These runs are on a random stream of their own: no run of the table has chosen its values.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mta_lab.config import RunConfig, difference, flatten, in_words, scales
from mta_lab.errors import UserError, nearest

if TYPE_CHECKING:  # it imports this module
    from mta_lab.sweep.rows import Row, Sweep

STREAM = "tune"
FACTORS = (0.5, 1.0, 2.0)
"""the bracket where the file gives none: times what the row says"""
FEWEST, WIDENINGS = 3, 3
DIGITS = 6  # significant ones of a value that widens a bracket: every machine writes the same
AROUND = "around"
"""stands for FACTORS times what a row says, in place of values"""
BESIDE = ("seeds", "scales")
ALLOWED = (
    "the key of a number, like training.learning_rate, or {KEY: [4.0e-3, 8.0e-3, 1.6e-2]} or {KEY: around}, "
    f"the latter two also with {' and '.join(BESIDE)} beside KEY"
)


@dataclass(frozen=True, kw_only=True)
class Tune:
    """The setting that is tuned, row by row."""

    key: str
    """dotted, as in a sweep file; its values are above 0"""
    values: tuple[float, ...] = ()
    """the bracket of every row; empty for FACTORS times what the row says"""
    seeds: int = 1
    """the number of runs at each value"""
    scales: tuple[str, ...] = ()
    """the scales at which it is done; empty for all"""

    def bracket(self, config: RunConfig) -> tuple[float, ...]:
        """Return the values that a row is tried at first, in ascending order."""
        return self.values or tuple(_rounded(factor * flatten(config)[self.key]) for factor in FACTORS)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value that a row was tried at."""

    value: float
    score: float | None
    """mean over seeds; None before all have ended, and where one diverged"""
    loss: float | None
    """the smallest is best: infinite where a run diverged, None before all have ended"""
    seconds: float = 0.0
    """of its finished runs together"""
    runs: tuple[str, ...] = ()
    """the fingerprints of its runs, which rows with the same settings share"""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A row's scores over the values of the setting."""

    bracket: tuple[float, ...]
    points: tuple[Point, ...] = ()
    """in ascending order of their values"""

    @property
    def scored(self) -> bool:
        """Return whether some value has ended."""
        return any(point.loss is not None for point in self.points)

    @property
    def best(self) -> float | None:
        """Return the best value inside the bracket or at its edge; None before all have ended."""
        if not self.points or any(point.loss is None for point in self.points):
            return None
        return min(self.points, key=_loss).value

    @property
    def at_the_edge(self) -> bool:
        """Return whether the best value is the smallest or the largest that was tried."""
        return self.best is not None and self.best in (self.points[0].value, self.points[-1].value)


@dataclass(frozen=True)
class Tuning:
    """The tuning of a sweep: its setting, and each row's curve as far as it is known."""

    tune: Tune
    curves: Mapping[str, Curve] = field(default_factory=dict)
    widenings: int = WIDENINGS

    @property
    def untuned(self) -> list[str]:
        """Return the rows whose best value is not known yet."""
        return [row for row, curve in self.curves.items() if curve.best is None]


def values_of(
    bracket: Sequence[float],
    losses: Mapping[float, float],
    widenings: int = WIDENINGS,
    possible: Callable[[float], bool] = lambda value: True,
) -> list[float]:
    """Return the values to try, in ascending order: the bracket, widened while its edge is best.

    It is widened by the ratio of the two values at that edge, at most `widenings` times, not before
    every value so far has a loss, and not to a value that is not `possible`.
    """
    values = sorted(bracket)
    for _ in range(widenings):
        if any(value not in losses for value in values):
            break
        best = min(values, key=losses.__getitem__)
        if best not in (values[0], values[-1]):
            break
        beside = values[1] if best == values[0] else values[-2]
        further = _rounded(best * best / beside)
        if not possible(further):
            break
        values = sorted([*values, further])
    return values


def at_value(config: RunConfig, key: str, value: float) -> RunConfig:
    """Return the configuration with another value of the setting `key`."""
    changed: RunConfig = _replaced(config, key.split("."), value)
    return changed


def is_possible(config: RunConfig, key: str, value: float) -> bool:
    """Return whether the setting `key` of this configuration can have a value."""
    try:
        at_value(config, key, value)
    except ValueError:
        return False
    return True


def tuning_sweep(sweep: "Sweep", tuning: Tuning, values: Mapping[str, Sequence[float]]) -> "Sweep":
    """Return the runs that tune a sweep, as a sweep: a row for each value of each row.

    None is compared with another: what they tell is each row's best value.
    """
    key = tuning.tune.key
    rows = []
    for row in sweep.rows:
        for value in values.get(row.name, ()):
            name = tried(row.name, key, value)
            config = replace(at_value(row.config, key, value), stream=STREAM)
            rows.append(
                replace(row, name=name, config=config, baseline=name, difference={}, published={}, references=())
            )
    return replace(
        sweep,
        title=f"{sweep.title}: {key}",
        about="",
        baseline=rows[0].name,
        rows=tuple(rows),
        seeds=tuple(range(tuning.tune.seeds)),
        tuning=None,
    )


def tried(row: str, key: str, value: float) -> str:
    """Return the name of a row at one of its values."""
    return f"{row}, {key.rpartition('.')[2]} {in_words(value)}"


def at_best(sweep: "Sweep", tuning: Tuning) -> "Sweep":
    """Return the sweep with each row at its best value, where that is known."""
    best = {row: curve.best for row, curve in tuning.curves.items()}
    return replace(at_values(sweep, tuning.tune.key, best), tuning=tuning)


def at_values(sweep: "Sweep", key: str, values: Mapping[str, float | None]) -> "Sweep":
    """Return the sweep with its rows at these values of the setting `key`; None leaves a row."""
    configs = {
        row.name: row.config if (value := values.get(row.name)) is None else at_value(row.config, key, value)
        for row in sweep.rows
    }

    def placed(row: "Row") -> "Row":
        config = configs[row.name]
        return replace(row, config=config, difference=difference(config, configs[row.baseline]))

    return replace(sweep, rows=tuple(map(placed, sweep.rows)))


def apart_from_tuning(sweep: "Sweep") -> dict[str, RunConfig]:
    """Return the rows' configurations, all at one value of what is tuned: it is no factor."""
    configs = {row.name: row.config for row in sweep.rows}
    if sweep.tuning is None:
        return configs
    key = sweep.tuning.tune.key
    value = flatten(sweep.rows[0].config)[key]
    return {row: at_value(config, key, value) for row, config in configs.items()}


def read_tune(given: Any, scale: str, source: str) -> Tune | None:
    """Return the checked `tune` section of a file; None where it has none for the scale."""
    where = f"{source}: tune"
    if given is None:
        return None
    section = {given: AROUND} if isinstance(given, str) else given
    keys = [key for key in section if key not in BESIDE] if isinstance(section, Mapping) else []
    if len(keys) != 1:
        raise UserError(f"{where}: got {given!r}, allowed: {ALLOWED}")
    key, seeds = keys[0], section.get("seeds", Tune.seeds)
    if type(seeds) is not int or seeds < 1:
        raise UserError(f"{where}.seeds: got {seeds!r}, allowed: 1 or more")
    values = () if section[key] == AROUND else _values(section[key], f"{where}.{key}")
    tune = Tune(key=key, values=values, seeds=seeds, scales=_scales(section.get("scales", []), f"{where}.scales"))
    return tune if scale in (tune.scales or (scale,)) else None


def _values(given: Any, where: str) -> tuple[float, ...]:
    numbers = given if isinstance(given, list) and all(type(value) in (int, float) for value in given) else []
    if len(numbers) < FEWEST or sorted(set(numbers)) != numbers or not 0 < numbers[0] <= numbers[-1] < math.inf:
        allowed = f"{FEWEST} or more numbers above 0, in ascending order; or {AROUND}"
        raise UserError(f"{where}: got {given!r}, allowed: {allowed}")
    return tuple(map(float, numbers))


def _scales(given: Any, where: str) -> tuple[str, ...]:
    names = given if isinstance(given, list) else [given]
    for name in names:
        if name not in scales():
            hint = nearest(str(name), scales()) or ";"
            raise UserError(f"{where}: no scale named {name!r}{hint} known: {', '.join(scales())}")
    return tuple(names)


def begun(tune: Tune, rows: Sequence["Row"], set_by_hand: Mapping[str, Any], source: str) -> Tuning:
    """Return the tuning of these rows before any of its runs.

    Raises:
        UserError: the setting is no number of every row, cannot have a value of the bracket, or is
            also set by hand.
    """
    where = f"{source}: tune.{tune.key}"
    for row in rows:
        flat = flatten(row.config)
        numbers = {key: value for key, value in flat.items() if type(value) is float and not key.startswith("data.")}
        if tune.key not in numbers:
            hint = nearest(tune.key, numbers) or ";"
            raise UserError(f"{where}: no number of row '{row.name}' has this name{hint} allowed: {', '.join(numbers)}")
        if numbers[tune.key] <= 0:
            raise UserError(f"{where}: is {numbers[tune.key]} in row '{row.name}', which no factor changes")
        for value in tune.bracket(row.config):
            try:
                at_value(row.config, tune.key, value)
            except ValueError as error:
                said = f"row '{row.name}' would be tried at {value:g}: {error}"
                raise UserError(f"{where}: {said}; give the values: tune: {{{tune.key}: [...]}}") from None
    setters = {"the command line": set_by_hand, **{f"row '{row.name}'": row.sets for row in rows}}
    by_hand = [setter for setter, keys in setters.items() if tune.key in keys]
    if tune.values and by_hand:
        raise UserError(f"{where}: {by_hand[0]} sets it, too; leave it out there, or write tune: {tune.key}")
    return Tuning(tune, {row.name: Curve(bracket=tune.bracket(row.config)) for row in rows})


def _replaced(part: Any, path: Sequence[str], value: float) -> Any:
    name, *rest = path
    return replace(part, **{name: _replaced(getattr(part, name), rest, value) if rest else value})


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _loss(point: Point) -> float:
    return math.inf if point.loss is None else point.loss
