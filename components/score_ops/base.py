"""The contract of an operation on the attention map, and the rule for the layers that carry it.

Shapes: B batch, M heads, Q query position, K key position.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from components.registry import Component, ComponentError, check_sizes

LayerRule = str | tuple[int, ...]

LAYER_RULE_HELP = (
    "'all', 'none', 'every N' (N - 1, 2N - 1, ...), 'spread N' (N layers, evenly spaced) "
    "or a list of layers counted from 1, like [3, 7]"
)


@dataclass(frozen=True, kw_only=True)
class ScoreOpConfig(Component, family="score_ops"):
    """Base of all score operations."""

    layers: LayerRule = "all"
    """layers that carry it: 'all', 'none', 'every 4' (3, 7, ...), 'spread 6' (evenly) or [3, 7]"""

    @abstractmethod
    def build(self, *, heads: int) -> "ScoreOp":
        """Return the operation for maps of `heads` heads.

        Raises ComponentError where it cannot have that number of heads.
        """

    def identity(self) -> Self:
        """Return the setting that starts by leaving the map as it is (default: as it is set)."""
        return self

    def on_layer(self, layer: int, layers: int) -> bool:
        """Return whether layer `layer` of `layers`, counted from 1, carries this operation."""
        return layer in layers_of(self.layers, layers)


@dataclass(frozen=True)
class Stage:
    """The step that a fused kernel computes in place of an operation's `forward`."""

    kind: Literal["convolve", "convolve_exact", "mix"]
    """key-query convolution with `double` or `exact` masking,
    or a matrix over groups of neighbouring heads"""
    weight: Tensor
    """[M, c_q, c_k] of a convolution;
    [G, out, in] of a mix, out = in = M / G; gradients flow through it"""


class MapKernel(NamedTuple):
    """A kernel theta for pictures: S'[i, j] = sum over a, b of theta[a, b] S[i - a, j - b]."""

    head: int
    """whose map becomes the sum, counted from 1"""
    reads: int
    """whose map it is a sum over"""
    values: Tensor
    """[A, B]; entry [a, after + b] is theta[a, b]"""
    after: int
    """how many keys after the place itself it spans"""


class ScoreOp(nn.Module):
    """An operation on the attention map: `(scores_BMQK, visible_QK) -> scores_BMQK`.

    The map's rows are neighbouring queries, Q of them and the last one is query K - 1; its columns
    are the keys from 0 to K - 1. `visible_QK` is true where a row's query may see the key. Three
    rules:

    - Row i reads no row after i, and no key that is invisible to query i. At places invisible to
      their own row the result may hold anything: the caller masks them.
    - The rows may be a block of all rows. What the operation reads above the block is then missing
      and read as zero. That is right for the block that starts with query 0. Of a later block, the
      first `earlier_queries` rows are wrong, so the caller puts that many more rows on top.
    - The same input gives the same result: the backward pass may compute it anew.

    What an operation says of its `forward` counts where the class that has the `forward` says it,
    or one derived from it: a class that overrides anything of another's and inherits what that one
    said is computed as it is written.
    """

    declared: ClassVar[frozenset[str]] = frozenset()
    """which of `earlier_queries`, `next_row`, `pointwise`, `stage` and `right_rows`
    are said of the very code of this class"""
    written: ClassVar[Mapping[str, Any]] = {}
    """its attributes as they were when it was defined, to tell whether somebody has replaced one"""
    earlier_queries: int | None = None
    """how many earlier queries' rows a row reads;
    None is unknown, and the operation needs the whole map"""
    pointwise: bool = False
    """whether each place depends on the heads' values at this place alone, invisible places too"""
    reads_invisible: bool = False
    """whether row i reads earlier rows at keys visible to query i and not to them: right on
    raw logits and, if every operation before this one is pointwise, on what these made of them"""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        names = ("earlier_queries", "next_row", "pointwise", "right_rows", "stage")
        cls.declared = frozenset(name for name in names if _says(cls, name))
        own = {name for base in cls.__mro__ if issubclass(base, ScoreOp) for name in vars(base)} - _NEUTRAL
        cls.written = {name: getattr(cls, name) for name in {*_CALLED, *own} if _is_code(cls, name)}

    @abstractmethod
    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Return the changed map, of the same shape."""

    def right_rows(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Return the rows of `forward` below the first `earlier_queries`: those that are right.

        Generation computes them alone, and needs no gradient.
        """
        return self(scores_BMQK, visible_QK)[:, :, self.earlier_queries or 0 :]  # type: ignore[no-any-return]

    @property
    def keys_around(self) -> tuple[int, int]:
        """Zeros that `next_row` is given before the first key and behind the last."""
        return 0, 0

    def next_row(self, window_BMAL: Tensor) -> Tensor:
        """Return the last row of `forward` [B, M, 1, K], whose query sees all K keys.

        The window has that row behind the `earlier_queries` before it, which are zero at keys that
        they do not see, with zeros around the keys as `keys_around` says. Generation goes from row
        to row so.
        """
        rows, keys = window_BMAL.shape[2:]
        visible_QK = torch.ones(rows, keys, dtype=torch.bool, device=window_BMAL.device).tril(keys - rows)
        return self(window_BMAL, visible_QK)[:, :, -1:]  # type: ignore[no-any-return]

    def stage(self) -> Stage | None:
        """Return what a fused kernel computes instead, or None where there is no fused form."""
        return None

    def shown_kernels(self) -> list[MapKernel]:
        """Return the kernels that pictures show.

        Default: one a head, where its stage is a convolution.
        """
        stage = self._declared_stage()
        if stage is None or stage.kind == "mix":
            return []
        after = stage.weight.shape[-1] // 2  # a stage's kernel is centred
        return [MapKernel(head, head, values, after) for head, values in enumerate(stage.weight.detach(), start=1)]

    def shown_matrix(self) -> Tensor | None:
        """Return the matrix [G, out, in] by which heads mix, for pictures.

        Default: the matrix of its stage.
        """
        stage = self._declared_stage()
        return stage.weight.detach() if stage and stage.kind == "mix" else None

    def _declared_stage(self) -> Stage | None:
        return self.stage() if "stage" in self.declared else None


def _says(cls: type, name: str) -> bool:
    """Return whether nothing is overridden since the class that declares `name`.

    Looks at class bodies and constructors.
    """

    def sets(base: type) -> bool:
        constructor = getattr(vars(base).get("__init__"), "__code__", None)
        return name in vars(base) or (constructor is not None and name in constructor.co_names)

    home = next(place for place, base in enumerate(cls.__mro__) if sets(base))
    beneath = {inherited for base in cls.__mro__[home:] for inherited in vars(base)}
    above = {own for base in cls.__mro__[:home] for own in vars(base)} & beneath
    return all(own in _NEUTRAL or (own.startswith("__") and own not in _CALLED) for own in above)


def _is_code(cls: type, name: str) -> bool:
    """Return whether calls of the class may run the attribute of that name."""
    return (not name.startswith("__") or name in _CALLED) and isinstance(getattr(cls, name), FunctionType | property)


_NEUTRAL = {
    "declared",
    "earlier_queries",
    "extra_repr",
    "initialise",
    "keys_around",
    "next_row",
    "pointwise",
    "reads_invisible",
    "right_rows",
    "shown_kernels",
    "shown_matrix",
    "stage",
    "written",
}
"""what a class may say anew without being another operation"""
_CALLED = {"__call__", "__getattr__"}


def layers_of(rule: LayerRule, layers: int) -> frozenset[int]:
    """Return the layers that `rule` names in a model of `layers` layers, counted from 1.

    'every N' is layers N - 1, 2N - 1, ... as in the paper (3, 7, 11, ... for N = 4). 'spread N' is
    N layers, evenly spaced so that 'spread 6' of 24 is 'every 4': layer k of them is ceil(k
    L / N) - 1 of L, and all are all. A rule that is misspelt, names a layer that is not there, or
    picks none without saying so is a ComponentError.
    """
    check_sizes(layers=layers)
    if isinstance(rule, str):
        return _layers_by_name(rule, layers)
    if not rule:
        raise ComponentError(f"layers: got an empty list, allowed: {LAYER_RULE_HELP}")
    outside = [layer for layer in rule if not 1 <= layer <= layers]
    if outside:
        raise ComponentError(f"layers: got {outside[0]}, allowed: 1 to {layers}")
    return frozenset(rule)


def _layers_by_name(rule: str, layers: int) -> frozenset[int]:
    everywhere = frozenset(range(1, layers + 1))
    if rule in ("all", "none"):
        return everywhere if rule == "all" else frozenset()
    numbered = re.fullmatch(r"(every|spread) (\d+)", rule)
    name, number = (numbered[1], int(numbered[2])) if numbered else ("", 0)
    if name == "spread":
        if number > layers:
            raise ComponentError(f"layers: got '{rule}', allowed: up to 'spread {layers}', all of the model's layers")
        return everywhere if number == layers else frozenset(-(-k * layers // number) - 1 for k in range(1, number + 1))
    if not number:
        raise ComponentError(f"layers: got '{rule}', allowed: {LAYER_RULE_HELP}")
    chosen = frozenset(layer for layer in everywhere if layer % number == number - 1)
    if not chosen:
        raise ComponentError(f"layers: '{rule}' picks none of the model's {layers} layers, allowed: {LAYER_RULE_HELP}")
    return chosen
