"""Refuse rows that would mislead: equal runs, other text, or a difference that is not said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mta_lab.config import Layer, RunConfig
from mta_lab.errors import UserError


def refuse_reserved(layers: Sequence[Layer]) -> None:
    """Raise UserError if a layer sets the scale or the seed, which belong to the whole sweep."""
    for layer in layers:
        for key, option in (("scale", "--scale NAME"), ("seed", "--seeds N")):
            if key in layer.values:
                raise UserError(f"{layer.source}: {key}: not a setting of a sweep's rows; use {option}")


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
    for key, value in differs.items():
        inside = {key.rsplit(".", depth)[0] for depth in range(key.count(".") + 1)}
        if key in base and not (inside & sections or key in names or key.removesuffix(".name") in names):
            raise UserError(
                f"{where}: {key}: is {value!r} here and {base[key]!r} in '{baseline}', and neither of the two sets it; "
                f"set it in one of them, or to the same value in both"
            )


def settings_of(settings: Mapping[str, Any]) -> set[str]:
    """Return the keys that are written, dotted."""
    return {key for key, _ in leaves(settings)}


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the written keys, dotted, with their values."""
    for key, value in settings.items():
        dotted = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from leaves(value, dotted)
        else:
            yield dotted, value
