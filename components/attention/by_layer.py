"""Attention by layer: each layer of the model has one of several variants."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any, Self

from torch import nn

from components.attention.base import AttentionConfig
from components.attention.core import CoreConfig
from components.attention.multi_token import MultiToken
from components.attention.softmax import Softmax
from components.registry import ComponentError, register
from components.score_ops.base import LayerRule, layers_of

REST = "rest"
"""the rule of a variant that stands on the layers which no other names"""
SHARED = ("dropout", "impl")
"""settings that all layers have alike"""


@register("attention", "by_layer")
class ByLayer(CoreConfig):
    """A variant for each layer, such as Multi-Token Attention on every fourth, softmax on the rest.

    `attention: [{layers: every 4, name: multi_token}, {layers: rest, name: softmax}]` is short for
    it in a sweep file.
    """

    layers: tuple[LayerRule, ...] = ("every 4", REST)
    """the layers of each of `variants`, in their order: 'every 4', 'spread 6', [3, 7], or 'rest',
    those that no other names; each layer once"""
    variants: tuple[AttentionConfig, ...] = (MultiToken(), Softmax())
    """two variants or more; `dropout` and `impl` stand beside them, and are those of all layers"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.variants) < 2:
            said = f"got {len(self.variants)}, allowed: 2 or more; what stands on all layers is written without a list"
            raise ComponentError(f"variants: {said}")
        if len(self.layers) != len(self.variants):
            said = f"got {len(self.layers)}, allowed: one for each variant ({len(self.variants)})"
            raise ComponentError(f"layers: {said}")
        for one in self.variants:
            if isinstance(one, ByLayer):
                raise ComponentError(f"variants: got '{one.name}' in '{one.name}', allowed: other variants")
            for name, usual in ((name, getattr(ByLayer, name)) for name in SHARED):
                if (own := getattr(one, name, usual)) != usual:
                    said = f"'{one.name}' has {name}: {own}, allowed: {usual}; attention.{name} is that of all layers"
                    raise ComponentError(f"variants: {said}")

    def of_layer(self, layer: int, layers: int) -> AttentionConfig:
        one = self.variants[_places(self.layers, layers)[layer - 1]]
        own = {field.name for field in fields(one)}
        return replace(one, **{name: getattr(self, name) for name in SHARED if name in own})

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return self.of_layer(layer, layers).build(width=width, heads=heads, layer=layer, layers=layers)

    def identity(self) -> Self:
        return replace(self, variants=tuple(one.identity() for one in self.variants))

    def in_operations(self) -> AttentionConfig:
        return replace(self, variants=tuple(one.in_operations() for one in self.variants))

    def removals(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what lacks a part of one variant, or has plain attention in place of one."""
        found: dict[str, Mapping[str, Any]] = {}
        for index, one in enumerate(self.variants):
            where, others = f"on {_said(self.layers[index])}", (*self.variants[:index], *self.variants[index + 1 :])
            for part, settings in one.removals().items():
                found[f"{part} {where}"] = self._with(index, {**_settings(one), **settings})
            if one.name != Softmax.name and any(other.name != Softmax.name for other in others):
                found[f"{one.name} {where}"] = self._with(index, Softmax())
        return found

    def _with(self, index: int, one: object) -> dict[str, Any]:
        """Return the setting that has another variant in this place."""
        return {"variants": (*self.variants[:index], one, *self.variants[index + 1 :])}


@cache
def _places(rules: tuple[LayerRule, ...], layers: int) -> tuple[int, ...]:
    """Return for each layer the place of the rule that names it.

    Raises ComponentError where a rule is none, or names nothing; for a layer that two rules name;
    and for one that none does.
    """
    whole = f"allowed: each of the model's {layers} layers once; '{REST}' is what no other names"
    if rules.count(REST) > 1:
        raise ComponentError(f"layers: got '{REST}' twice, {whole}")
    found: dict[int, int] = {}
    for place, rule in enumerate(rules):
        for layer in _named(rule, layers):
            if layer in found:
                both = f"by '{_said(rules[found[layer]])}' and by '{_said(rule)}'"
                raise ComponentError(f"layers: got layer {layer} twice, {both}, {whole}")
            found[layer] = place
    left = [layer for layer in range(1, layers + 1) if layer not in found]
    if REST in rules and not left:
        raise ComponentError(f"layers: got '{REST}', but the others name all of the model's {layers} layers")
    if REST not in rules and left:
        raise ComponentError(f"layers: got no attention for layer {left[0]}, {whole}")
    return tuple(found.get(layer, rules.index(REST) if left else 0) for layer in range(1, layers + 1))


def _named(rule: LayerRule, layers: int) -> frozenset[int]:
    """Return the layers that a rule names itself."""
    if rule == REST:
        return frozenset()
    try:
        named = layers_of(rule, layers)
    except ComponentError as error:
        raise ComponentError(f"{error}, or '{REST}'" if isinstance(rule, str) else str(error)) from None
    if not named:
        raise ComponentError(f"layers: got '{_said(rule)}', which names none; leave the variant out")
    return named


def _said(rule: LayerRule) -> str:
    """Return a rule as a sweep file has it."""
    return rule if isinstance(rule, str) else str([*rule])


def _settings(one: AttentionConfig) -> dict[str, Any]:
    """Return a variant as a mapping, in which a component may stand as its name."""
    return {"name": one.name, **{field.name: getattr(one, field.name) for field in fields(one)}}
