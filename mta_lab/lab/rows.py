"""Describe a row of a plan: its size, its operations, and its difference from its baseline."""

from collections.abc import Collection
from dataclasses import MISSING, dataclass, fields
from typing import Any

from components.registry import Component
from mta_lab.model import count_parameters
from mta_lab.planning.by_arithmetic import operations
from mta_lab.report.sizes import sizes
from mta_lab.sweep import Row, Sweep


@dataclass(frozen=True, kw_only=True)
class Described:
    """A row in numbers and words."""

    parameters: int
    operations: float
    """floating-point operations of a whole run"""
    differences: list[str]
    """differences from its baseline, a line for each setting or component"""


def described(row: Row) -> Described:
    """Return the row's size, operations and differences."""
    config = row.config
    return Described(parameters=count_parameters(config), operations=operations(config), differences=_differences(row))


def sizes_of(sweep: Sweep) -> str:
    """Return parameters, training tokens and tokens a parameter of the sweep's rows, in words."""
    return sizes(row.config for row in sweep.rows)


def _differences(row: Row) -> list[str]:
    """Return the row's differences from its baseline, with components in short form."""
    components = {"attention": row.config.attention, "task": row.config.task}
    named = [name for name in components if any(key.startswith(f"{name}.") for key in row.difference)]
    rest = [f"{key}: {value}" for key, value in row.difference.items() if key.partition(".")[0] not in components]
    return [*(f"{name}: {_brief(components[name], _set_inside(name, row))}" for name in named), *rest]


def _set_inside(section: str, row: Row) -> set[str]:
    """Return the settings of a component that the row itself sets."""
    return {key.split(".")[1] for key in row.sets if key.startswith(f"{section}.")}


def _brief(value: Any, named: Collection[str] = ()) -> str:
    """Return a component as its name, with settings that are not defaults or are in `named`."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_brief, value))}]"
    if not isinstance(value, Component):
        return str(value)
    given = {field.name: getattr(value, field.name) for field in fields(value)}
    own = [
        f"{name} {_brief(found)}"
        for name, found in given.items()
        if name in named or found != getattr(type(value), name, MISSING)
    ]
    return f"{value.name}({', '.join(own)})" if own else value.name
