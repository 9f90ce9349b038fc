"""Refuse rows that would mislead: equal runs, other text, or a difference that is not said."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mta_lab.config import Layer, RunConfig, in_full
from mta_lab.errors import UserError
from mta_lab.words import counted

if TYPE_CHECKING:
    from mta_lab.sweep.rows import Sweep


def refuse_reserved(layers: Sequence[Layer]) -> None:
    """Raise UserError if a layer sets the scale or the seed, which belong to the whole sweep."""
    for layer in layers:
        for key, option in (("scale", "--scale NAME"), ("seed", "--seeds N")):
            if key in layer.values and not isinstance(layer.values[key], Mapping):  # which fixes parts of it
                raise UserError(f"{layer.source}: {key}: not a setting of a sweep's rows; use {option}")


def refuse_same_runs(sweep: "Sweep", source: str) -> None:
    """Raise UserError for a row whose runs under several seeds would be one run."""
    for row in sweep.rows if len(sweep.seeds) > 1 else ():
        if row.config.always_the_same:
            several = counted(len(sweep.seeds), "seed")
            said = f"init and data are fixed, and nothing else is drawn: {several} would be one run"
            rather = "leave one of them to the seeds, or ask for --seeds 1"
            raise UserError(f"{source}: rows.{row.name}: seed: {said}; {rather}")


def reads(config: RunConfig) -> tuple[Any, ...]:
    """Return what two runs must share to be compared: task, text, vocabulary, validation tokens."""
    return config.task, replace(config.data, mixture={}), config.model.vocabulary, config.training.validation_tokens


def refuse_incomparable(configs: Mapping[str, RunConfig], baselines: Mapping[str, str], source: str) -> None:
    """Raise UserError for rows that are one run, or whose scores are over other text or tasks.

    Equal runs would count as independent.
    """
    metric = next(iter(configs.values())).task.metric
    seen: dict[RunConfig, str] = {}
    for row, config in configs.items():
        where = f"{source}: rows.{row}"
        if (twin := seen.setdefault(config, row)) != row:
            raise UserError(f"{where}: has the same settings as row '{twin}'; there is nothing to compare")
        if reads(config) != reads(configs[baselines[row]]):
            raise UserError(
                f"{where}: reads other text or tokens than '{baselines[row]}'; their scores cannot be compared"
            )
        if config.task.metric != metric:
            raise UserError(
                f"{where}: is scored by {config.task.metric.name}, the rows above it by {metric.name}; make two sweeps"
            )


def refuse_unasked(configs: Mapping[str, RunConfig], source: str) -> None:
    """Raise UserError for a row that reads no text, of which questions could be made."""
    for row, config in configs.items():
        if not config.reads_text:
            said = f"was trained on {config.task.name}, and questions are made of held-out text"
            raise UserError(f"{source}: evaluate: row '{row}' {said}; leave evaluate out")


def refuse_undeclared(
    differs: Mapping[str, Any],
    base: Mapping[str, Any],
    declared: Sequence[Mapping[str, Any]],
    where: str,
    baseline: str,
) -> None:
    """Raise UserError for a difference that neither row declares, by its key or by a section.

    Naming another component says so for the settings that the two do not share. One that both have
    (`attention.impl`) must be named itself: the base's value is gone with the component that it was
    set for.
    """
    names: set[str] = set()  # written as one name: of a component, say
    sections: set[str] = set()
    for settings in declared:
        for key, value in leaves(settings):
            (names if isinstance(value, str) else sections).add(key)
    for written, value in differs.items():
        key = written.rpartition("parent.")[2]  # what a stage's parent has, the row or an earlier stage sets
        inside = {key.rsplit(".", depth)[0] for depth in range(key.count(".") + 1)}
        if written in base and not (inside & sections or key in names or key.removesuffix(".name") in names):
            raise UserError(
                f"{where}: {written}: is {value!r} here and {base[written]!r} in '{baseline}', "
                f"and neither of the two sets it; set it in one of them, or to the same value in both"
            )


def refuse_taken_names(sweep: "Sweep", source: str) -> None:
    """Raise UserError where a row has the name that a run before another row's stage goes by."""
    names = Counter(row.name for row in sweep.staged.rows)
    if taken := [name for name, rows in names.items() if rows > 1]:
        raise UserError(f"{source}: rows.{taken[0]}: the name is kept for the run before a stage; choose another")


def settings_of(settings: Mapping[str, Any]) -> set[str]:
    """Return the keys that are written, dotted."""
    return {key for key, _ in leaves(settings)}


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the written keys, dotted, with their values."""
    for key, value in settings.items():
        dotted = f"{prefix}.{key}" if prefix else str(key)
        full = in_full(dotted, value)
        if isinstance(full, Mapping):
            yield from leaves(full, dotted)
        else:
            yield dotted, full
