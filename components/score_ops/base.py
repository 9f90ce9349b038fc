"""The contract of an operation on the attention map, and the rule that says on which layers it stands.

Shapes: B batch, M heads, Q query position, K key position.
"""

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

from torch import nn

from components.registry import Component, ComponentError

LayerRule = str | tuple[int, ...]

LAYER_RULE_HELP = "'all', 'none', 'every N' (N - 1, 2N - 1, ...) or a list of layers counted from 1, like [3, 7]"


@dataclass(frozen=True, kw_only=True)
class ScoreOpConfig(Component, family="score_ops"):
    """Base of all score operations."""

    layers: LayerRule = "all"
    """layers that carry the operation: 'all', 'none', 'every 4' (layers 3, 7, 11, ...) or a list like [3, 7]"""

    @abstractmethod
    def build(self, *, heads: int) -> nn.Module:
        """Return a module `(scores_BMQK, visible_QK) -> scores_BMQK`.

        It may leave anything at invisible places (key after query), which the caller masks, but must read nothing
        there. `visible_QK` is true where the query may see the key.
        """

    def identity(self) -> Self:
        """Return the setting that, freshly initialised, leaves the map as it is (default: as it is set)."""
        return self

    def on_layer(self, layer: int, layers: int) -> bool:
        """Whether layer `layer` of `layers`, counted from 1, carries this operation."""
        return layer in layers_of(self.layers, layers)


def layers_of(rule: LayerRule, layers: int) -> frozenset[int]:
    """The layers that `rule` names in a model of `layers` layers, counted from 1.

    'every N' is layers N - 1, 2N - 1, ... as in the paper (3, 7, 11, ... for N = 4). A rule that is misspelt, names
    a layer that is not there, or picks none without being 'none' is a ComponentError.
    """
    if isinstance(rule, str):
        every = re.fullmatch(r"every (\d+)", rule)
        if rule not in ("all", "none") and not (every and int(every[1])):
            raise ComponentError(f"layers: got '{rule}', allowed: {LAYER_RULE_HELP}")
        if rule == "none":
            return frozenset()
        step = int(every[1]) if every else 1
        chosen = frozenset(layer for layer in range(1, layers + 1) if layer % step == step - 1)
        if not chosen:
            raise ComponentError(f"layers: '{rule}' picks none of the model's {layers} layers; to say so, use 'none'")
        return chosen
    if not rule:
        raise ComponentError(f"layers: got an empty list, allowed: {LAYER_RULE_HELP}")
    outside = [layer for layer in rule if not 1 <= layer <= layers]
    if outside:
        raise ComponentError(f"layers: got {outside[0]}, allowed: 1 to {layers}")
    return frozenset(rule)
