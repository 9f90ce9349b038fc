"""Compute a trained model's attention maps, before and after its score operations.

They come from the readable reference. Shapes: T tokens, M heads, Q query position, K key position,
V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from components.attention import Attention
from components.kernels.base import MapOps
from components.kernels.eager import Eager
from components.score_ops import ScoreOp
from mta_lab.errors import UserError
from mta_lab.pictures.trained import Trained, operations


@dataclass(frozen=True, kw_only=True)
class LayerMaps:
    """The maps of a layer's heads."""

    layer: int
    before: Tensor
    """[M, Q, K], the softmax of the logits without operations: its rows sum to one"""
    after: Tensor
    """[M, Q, K], the weights of the values; rows sum to one unless operations follow the softmax"""
    operations: tuple[str, ...]
    """names and places of the operations, in order"""

    def moved(self) -> Tensor:
        """Return how far the operations change a row, by head [M].

        It is half the sum of absolute changes, the mean over rows.
        """
        return (self.after - self.before).abs().sum(-1).mean(-1) / 2


def on_range(maps_MQK: Tensor, queries: range, keys: range) -> Tensor:
    """Return the attention of `queries` on `keys`, mean over the queries, by head [M]."""
    return maps_MQK[:, queries.start : queries.stop, keys.start : keys.stop].sum(-1).mean(-1)


@torch.no_grad()
def attention_maps(run: Trained, tokens_T: Tensor) -> tuple[list[LayerMaps], Tensor]:
    """Return the maps of all layers on `tokens_T`, and the logits [T, V] of the next tokens.

    Raises:
        UserError: the run's variant computes attention itself, and so has no map.
    """
    layers = dict(run.layers())
    if len(layers) < len(run.model.blocks):
        name = run.config.attention.name
        raise UserError(f"run {run.record.fingerprint}: '{name}' computes attention itself, so its map cannot be drawn")
    with ExitStack() as stack:
        heard = {layer: stack.enter_context(_listening(attention)) for layer, attention in layers.items()}
        logits_BTV: Tensor = run.model(tokens_T[None])
    return [_maps(layer, layers[layer], *heard[layer][0]) for layer in layers], logits_BTV[0]


def _maps(layer: int, attention: Attention, query_BMTd: Tensor, key_BMTd: Tensor) -> LayerMaps:
    ops = operations(attention)
    pre, post = ([op for place, op in ops if place == wanted] for wanted in ("before", "after"))
    return LayerMaps(
        layer=layer,
        before=_weights(query_BMTd, key_BMTd, [], []),
        after=_weights(query_BMTd, key_BMTd, pre, post),
        operations=tuple(f"{type(op).__name__} {place} the softmax" for place, op in ops),
    )


def _weights(query_BMTd: Tensor, key_BMTd: Tensor, pre: Sequence[ScoreOp], post: Sequence[ScoreOp]) -> Tensor:
    """Return the map [M, Q, K] of the one sequence.

    It is the output of attention where the value of token k is the unit vector k.
    """
    tokens = query_BMTd.shape[-2]
    unit = torch.eye(tokens, dtype=query_BMTd.dtype).expand(*query_BMTd.shape[:2], tokens, tokens)
    return Eager().attend(query_BMTd, key_BMTd, unit, MapOps(pre, post), dropout=None)[0]


@contextmanager
def _listening(attention: Attention) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Yield a list that collects the queries and keys of each forward pass."""
    heard: list[tuple[Tensor, Tensor]] = []
    attend = attention.attend

    def listening(query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        heard.append((query_BMTd, key_BMTd))
        return attend(query_BMTd, key_BMTd, value_BMTd)

    attention.attend = listening  # type: ignore[method-assign]
    try:
        yield heard
    finally:
        del attention.attend
