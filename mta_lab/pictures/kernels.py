"""Read the score operations of a trained model as numbers: kernels and head matrices.

Shapes: M heads; A queries and B keys that a kernel spans; G groups of heads; O and I heads of a
group, out and in.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from components.score_ops import ScoreOp
from mta_lab.errors import UserError
from mta_lab.pictures.trained import Place, Trained, operations


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A head's kernel theta: S'[i, j] is the sum over a, b of theta[a, b] S[i - a, j - b]."""

    layer: int
    place: Place
    head: int
    """the head whose map becomes the sum, counted from 1"""
    reads: int
    """the head whose map is summed: the same head, except in a joint kernel"""
    values: Tensor
    """[A, B]; entry [a, after + b] is theta[a, b]"""
    after: int
    """number of keys that it spans after the entry that it computes"""
    number: int = 1
    """number of the operation among those with kernels at its place"""

    def overlay(self) -> Tensor:
        """Return the kernel as placed on the map: earliest query first, keys in reading order."""
        return self.values.flip(0, 1)

    @property
    def offsets(self) -> tuple[list[int], list[int]]:
        """Return the queries and keys of `overlay`'s rows and columns, from the computed entry."""
        queries, keys = self.values.shape
        return list(range(1 - queries, 1)), list(range(self.after + 1 - keys, self.after + 1))


@dataclass(frozen=True, kw_only=True)
class HeadMatrix:
    """The weights of each head's map in each head's new map, in groups."""

    layer: int
    place: Place
    values: Tensor
    """[G, O, I]"""
    number: int = 1
    """number of the matrix among those at its place"""

    @property
    def diagonal(self) -> float:
        """Return the diagonal's mean: what heads keep of their own maps (the paper's Figure 16)."""
        return self._own().mean().item()

    @property
    def ratio(self) -> float:
        """Return the mean magnitude off the diagonal over that on it (the paper's Figure 17).

        0 mixes nothing; NaN for groups of one head.
        """
        own = self._own().abs()
        off = self.values.abs().sum() - own.sum()
        return (off / (self.values.numel() - own.numel()) / own.mean()).item()

    def whole(self) -> Tensor:
        """Return the matrix [M, M] with groups along the diagonal, NaN between heads not mixed."""
        groups, group, _ = self.values.shape
        whole = torch.full((groups * group, groups * group), torch.nan)
        for index, block in enumerate(self.values):
            place = slice(index * group, (index + 1) * group)
            whole[place, place] = block
        return whole

    def _own(self) -> Tensor:
        return self.values.diagonal(dim1=1, dim2=2)


def kernels(run: Trained) -> list[Kernel]:
    """Return the key-query kernels of every layer, place and head."""
    return [part for part in parts(run) if isinstance(part, Kernel)]


def head_matrices(run: Trained) -> list[HeadMatrix]:
    """Return the head matrices of every layer and place."""
    return [part for part in parts(run) if isinstance(part, HeadMatrix)]


def parts(run: Trained) -> list[Kernel | HeadMatrix]:
    """Return all kernels and matrices of a run.

    Raises:
        UserError: its attention has none.
    """
    found: list[Kernel | HeadMatrix] = []
    for layer, attention in run.layers():
        numbers = Counter[tuple[Place, type]]()
        for place, op in operations(attention):
            of_op = list(_parts(layer, place, op))
            numbers.update({(place, type(part)) for part in of_op})
            found += [replace(part, number=numbers[place, type(part)]) for part in of_op]
    if not found:
        raise UserError(f"run {run.record.fingerprint}: '{run.config.attention.name}' has no kernel and no head matrix")
    return found


def _parts(layer: int, place: Place, op: ScoreOp) -> Iterator[Kernel | HeadMatrix]:
    for kernel in op.shown_kernels():
        yield Kernel(layer=layer, place=place, **kernel._asdict())
    if (matrix := op.shown_matrix()) is not None:
        yield HeadMatrix(layer=layer, place=place, values=matrix)


def largest(values: Iterable[Tensor]) -> float:
    """Return the end of a scale centred at zero: the largest magnitude, or 1 if all are zero."""
    return max(tensor[~tensor.isnan()].abs().max().item() for tensor in values) or 1.0
