"""Operations that are inserted into a trained model (2504.00927, appendix I).

It goes on as it was: each operation that it had keeps its weights, and those that are new leave the
map as it is at the start. Whatever would change its output before a step is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from torch import Tensor

from components.attention.base import AttentionConfig
from components.attention.multi_token import PLACES, MultiToken
from components.registry import Component, ComponentError
from components.score_ops import ScoreOpConfig

OPERATION = re.compile(rf"({'|'.join(PLACES)})\.(\d+)\.(.+)")
"""a parameter of an operation on the map: its list, its place there, its own name"""
WAYS = ("dropout", "impl", "output_start")
"""settings with which the same weights compute the same, but for dropout while training"""


def refuse_change(before: AttentionConfig, after: AttentionConfig, layers: int) -> None:
    """Raise ComponentError where a model of attention `before` would not go on as it was.

    `after` may have further operations that are the identity at the start, and otherwise what
    `before` has, on each of `layers` layers.
    """
    for layer in range(1, layers + 1):
        there, here = before.of_layer(layer, layers), after.of_layer(layer, layers)
        old, new = there.in_operations(), here.in_operations()
        if not (isinstance(old, MultiToken) and isinstance(new, MultiToken)):
            if _computed(old) != _computed(new):
                raise ComponentError(f"name: {_other(there, here)}; allowed: that of the trained model")
            continue
        if old.norm != new.norm:
            changed = f"got '{new.norm.name}' after '{old.norm.name}', which changes the output before any step"
            raise ComponentError(f"norm: {changed}; allowed: that of the trained model")
        for place, kept in kept_operations(there, here, layer, layers).items():
            ops = _operations(new, place, layer, layers)
            for op in (op for index, op in enumerate(ops) if index not in kept):
                _refuse_operation(op, place)


def kept_operations(
    before: AttentionConfig, after: AttentionConfig, layer: int, layers: int
) -> Mapping[str, Sequence[int]]:
    """Return where the operations of `before` stand in the lists of `after`, on one layer.

    Both lists are those of `pre_softmax` and `post_softmax`. Attention without lists keeps none.

    Raises:
        ComponentError: `after` lacks one of them, or has them in another order.
    """
    old, new = (one.of_layer(layer, layers).in_operations() for one in (before, after))
    if not (isinstance(old, MultiToken) and isinstance(new, MultiToken)):
        return {}
    found = {}
    for place in PLACES:
        ops, places = _operations(new, place, layer, layers), list[int]()
        for op in _operations(old, place, layer, layers):
            rest = range(places[-1] + 1 if places else 0, len(ops))
            here = next((index for index in rest if ops[index] == op), None)
            if here is None:
                lost = f"got no '{op.name}' as the trained model has it on layer {layer}"
                raise ComponentError(f"{place}: {lost}; allowed: its operations in their order, and new ones")
            places.append(here)
        found[place] = places
    return found


def grown(
    before: Mapping[str, Tensor], start: Mapping[str, Tensor], kept: Mapping[str, Sequence[int]]
) -> dict[str, Tensor]:
    """Return the state of an attention that goes on from the state `before`.

    New operations have what they `start` with; `kept` is of `kept_operations`.
    """
    listed = {name: part for name in start if (part := OPERATION.fullmatch(name)) and part[1] in kept}
    new = {name: start[name] for name, part in listed.items() if int(part[2]) not in kept[part[1]]}
    return {**new, **{_moved(name, kept): value for name, value in before.items()}}


def _moved(name: str, kept: Mapping[str, Sequence[int]]) -> str:
    """Return the name that a parameter of the attention before has in the one that goes on."""
    part = OPERATION.fullmatch(name)
    return f"{part[1]}.{kept[part[1]][int(part[2])]}.{part[3]}" if part and part[1] in kept else name


def _operations(attention: MultiToken, place: str, layer: int, layers: int) -> list[ScoreOpConfig]:
    """Return the operations of a list that stand on a layer, as if each were for all of them."""
    ops: Sequence[ScoreOpConfig] = getattr(attention, place)
    return [replace(op, layers="all") for op in ops if op.on_layer(layer, layers)]


def _computed(attention: AttentionConfig) -> AttentionConfig:
    """Return the attention with the default of what does not decide its output."""
    usual: dict[str, Any] = {one.name: one.default for one in fields(attention) if one.name in WAYS}
    return replace(attention, **usual)


def _refuse_operation(op: ScoreOpConfig, place: str) -> None:
    """Raise ComponentError for a new operation that changes the map at the start."""
    if reason := op.exempt.get("identity"):
        raise ComponentError(f"{place}: got '{op.name}', which never starts as the identity: {reason}")
    neutral = op.identity()
    for name in (one.name for one in fields(op) if getattr(op, one.name) != getattr(neutral, one.name)):
        given, allowed = (_said(getattr(one, name)) for one in (op, neutral))
        changed = f"got '{op.name}' with {name}: {given}, which changes the output before any step"
        raise ComponentError(f"{place}: {changed}; allowed: {name}: {allowed}")


def _said(value: object) -> object:
    return value.name if isinstance(value, Component) else value


def _other(before: AttentionConfig, after: AttentionConfig) -> str:
    """Return why one attention cannot become the other."""
    if before.name == after.name:
        return f"'{after.name}' has other settings than before, which change its output before any step"
    why = next((f" ({reason})" for one in (after, before) if (reason := one.exempt.get("identity"))), "")
    return f"'{before.name}' cannot go on as '{after.name}', which computes something else{why}"
