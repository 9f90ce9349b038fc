"""Head mixing convolution (2504.00927, section 3.2): a matrix mixes neighbouring heads' maps."""

from typing import Literal

import torch
from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.registry import ComponentError, register
from components.score_ops.base import ScoreOp, ScoreOpConfig, Stage

Group = int | Literal["all"]
"""c_h: how many neighbouring heads are mixed with each other"""


@register("score_ops", "head_mixing")
class HeadMixing(ScoreOpConfig):
    """A c_h x c_h matrix mixes the maps of each group of c_h neighbouring heads (equation 7).

    It is the identity at the start.
    """

    group: Group = "all"
    """c_h: heads a group, a divisor of the number of heads, or 'all'"""

    def __post_init__(self) -> None:
        check_group(self.group)

    def build(self, *, heads: int) -> ScoreOp:
        return HeadMixingMatrix(heads=heads, group=heads_per_group(self.group, heads))


class HeadMixingMatrix(ScoreOp):
    """One matrix [out, in] a group.

    At each (query, key), a head's map becomes a mix of its group's maps.
    """

    earlier_queries = 0
    pointwise = True

    def __init__(self, *, heads: int, group: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(heads // group, group, group))
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """Start as identity: no head is mixed."""
        with torch.no_grad():
            self.matrix.zero_().diagonal(dim1=1, dim2=2).fill_(1.0)  # torch.eye on meta loads the compiler

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Mix within groups, each place on its own."""
        groups, group, _ = self.matrix.shape
        batch, _, queries, keys = scores_BMQK.shape
        maps = scores_BMQK.reshape(batch, groups, group, queries * keys)
        mixed: Tensor = self.matrix @ maps
        return mixed.view_as(scores_BMQK)

    def right_rows(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        if scores_BMQK.shape[0] > 1:
            return self.forward(scores_BMQK, visible_QK)
        matrix_GOI = self.matrix  # one sequence: in few steps, as each takes longer than the product
        groups, _, group = matrix_GOI.shape
        return torch.bmm(matrix_GOI, scores_BMQK.reshape(groups, group, -1)).view_as(scores_BMQK)

    def stage(self) -> Stage:
        return Stage("mix", self.matrix)


def check_group(group: Group) -> None:
    """Refuse what is no size of a group in any model."""
    if group != "all" and group < 1:
        raise ComponentError(f"group: got {group}, allowed: a divisor of the number of heads, or 'all'")


def heads_per_group(group: Group, heads: int) -> int:
    """c_h in a model of `heads` heads; ComponentError where they do not divide."""
    size = heads if group == "all" else group
    if heads % size:
        raise ComponentError(f"group: got {size}, allowed: a divisor of the {heads} heads, or 'all'")
    return size
