"""Multi-Token Attention (Golovneva et al. 2025, 2504.00927).

Every row of the paper's Table 5 is lists of operations.

The masking is the paper's: operations leave anything at keys after the query, and the core masks
it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal, Self

from torch import nn

from components.attention.base import head_width
from components.attention.core import CoreAttention, CoreConfig
from components.initialise import Draw
from components.norms import Gate, NoNorm, NormConfig
from components.registry import FAMILIES, LATER, register
from components.score_ops import HeadMixing, KeyQuery, ScoreOp, ScoreOpConfig

OutputStart = Literal["drawn", "zero"]
PLACES = {"pre_softmax": "before", "post_softmax": "after"}
"""settings that list operations, and where these stand: before or after the softmax"""


class FromZero(CoreAttention):
    """Attention whose output projection starts at zero."""

    def initialise(self, draw: Draw) -> None:
        """Fill the output projection with zeros."""
        nn.init.zeros_(self.output.weight)


@register("attention", "multi_token")
class MultiToken(CoreConfig):
    """Attention whose weights depend on several queries, keys and heads (2504.00927).

    The defaults are the paper's MTA.
    """

    pre_softmax: tuple[ScoreOpConfig, ...] = (KeyQuery(), HeadMixing())
    """operations on the logits, in this order; each says on which layers it stands"""
    post_softmax: tuple[ScoreOpConfig, ...] = (KeyQuery(), HeadMixing())
    """operations on the attention weights, in this order"""
    norm: NormConfig = Gate()
    """normalisation of each head's output, before the output projection"""
    output_start: OutputStart = field(default="drawn", metadata=LATER)
    """start of the output projection's weight: 'drawn' like any other, or 'zero', so that attention
    adds nothing to the first step"""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        def here(ops: Sequence[ScoreOpConfig]) -> list[ScoreOp]:
            return [op.build(heads=heads) for op in ops if op.on_layer(layer, layers)]

        kind = CoreAttention if self.output_start == "drawn" else FromZero
        return kind(
            width=width,
            heads=heads,
            dropout=self.dropout,
            impl=self.impl,
            pre_softmax=here(self.pre_softmax),
            post_softmax=here(self.post_softmax),
            norm=self.norm.build(width=head_width(width, heads), model_width=width, layer=layer),
        )

    def pre_norm_scale(self, layer: int) -> float:
        return self.norm.pre_norm_scale(layer)

    def identity(self) -> Self:
        def plain(ops: tuple[ScoreOpConfig, ...]) -> tuple[ScoreOpConfig, ...]:
            return tuple(op.identity() for op in ops)

        return replace(self, pre_softmax=plain(self.pre_softmax), post_softmax=plain(self.post_softmax), norm=NoNorm())

    def removals(self) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for setting, place in PLACES.items():
            ops = getattr(self, setting)
            for index, op in enumerate(ops):
                found[f"{op.name} {place}"] = {setting: (*ops[:index], *ops[index + 1 :])}
        if self.norm.name != NoNorm.name:
            found[f"{self.norm.name} norm"] = {"norm": NoNorm.name}
        return found

    def additions(self) -> Mapping[str, Mapping[str, Any]]:
        nothing = {"pre_softmax": (), "post_softmax": (), "norm": NoNorm.name}
        ops = [(op, setting) for op in FAMILIES["score_ops"].names() for setting in PLACES]
        norms = [norm for norm in FAMILIES["norms"].names() if norm != NoNorm.name]
        return {
            **{f"{op} {PLACES[setting]}": {**nothing, setting: (op,)} for op, setting in ops},
            **{f"{norm} norm": {**nothing, "norm": norm} for norm in norms},
        }
