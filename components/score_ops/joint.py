"""Key-query and head mixing convolution in one (2504.00927, section 3.3).

Its kernel has three dimensions: heads, queries and keys.
"""

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.kernel_init import Identity, KernelInitConfig
from components.registry import register
from components.score_ops.base import LayerRule, MapKernel, ScoreOp, ScoreOpConfig
from components.score_ops.head_mixing import Group, check_group, heads_per_group
from components.score_ops.key_query import check_kernel, convolve, convolve_below, convolve_last


@register("score_ops", "joint")
class Joint(ScoreOpConfig):
    """A convolution over c_h neighbouring heads, c_q queries and c_k keys.

    Each head of a group reads all the group's maps.
    """

    layers: LayerRule = "every 4"
    """layers that carry it: 'all', 'none', 'every 4' (3, 7, ...), 'spread 6' (evenly) or [3, 7]"""
    kernel: tuple[int, int] = (6, 11)
    """c_q, c_k: how many queries and keys the kernel spans"""
    group: Group = "all"
    """c_h: heads a group, a divisor of the number of heads, or 'all'"""
    init: KernelInitConfig = Identity()
    """the initial values of what each head reads of its own map;
    what it reads of others starts at 0"""

    def __post_init__(self) -> None:
        check_kernel(self.kernel)
        check_group(self.group)

    def identity(self) -> Self:
        return replace(self, init=Identity())

    def build(self, *, heads: int) -> ScoreOp:
        group = heads_per_group(self.group, heads)
        return JointConvolution(heads=heads, group=group, kernel=self.kernel, init=self.init)


class JointConvolution(ScoreOp):
    """S'[o, i, j] = sum over n, a, b of theta[o, n, a, b] S[n, i - a, j - b].

    Keys after their query read as zero.

    o and n are heads of one group, a and b as in `KeyQueryConvolution`. The kernel is [groups, c_h
    out, c_h in, c_q, c_k]. A head matrix and a kernel a head, one after the other, are those theta
    that are products of the two.
    """

    def __init__(self, *, heads: int, group: int, kernel: tuple[int, int], init: KernelInitConfig) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(heads // group, group, group, *kernel))
        self.init = init
        self.initialise(default_stream)

    @property
    def earlier_queries(self) -> int:  # type: ignore[override]
        return self.kernel.shape[-2] - 1

    def initialise(self, draw: Draw) -> None:
        """Start each head with a key-query kernel of `kernel_init` on its own map.

        It takes nothing of other heads' maps.
        """
        groups, group, _, queries, keys = self.kernel.shape
        own = self.kernel.new_empty(groups * group, queries, keys)
        self.init.fill(own, draw("kernel"))
        with torch.no_grad():
            self.kernel.zero_().diagonal(dim1=1, dim2=2).copy_(own.view(groups, group, queries, keys).movedim(1, -1))

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Convolve each group's maps with its kernels."""
        seen_BMQK = scores_BMQK.masked_fill(~visible_QK, 0.0)
        *_, queries, keys = self.kernel.shape
        return convolve(seen_BMQK, self.kernel.flatten(0, 1), above=queries - 1, after=keys // 2)

    def right_rows(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        return convolve_below(scores_BMQK, visible_QK, self.kernel.flatten(0, 1), after=self.kernel.shape[-1] // 2)

    @property
    def keys_around(self) -> tuple[int, int]:
        return (self.kernel.shape[-1] - 1) - self.kernel.shape[-1] // 2, self.kernel.shape[-1] // 2

    def next_row(self, window_BMAL: Tensor) -> Tensor:
        return convolve_last(window_BMAL, self.kernel.flatten(0, 1))

    def shown_kernels(self) -> list[MapKernel]:
        theta_GOIAB = self.kernel.detach()
        groups, group, _, _, keys = theta_GOIAB.shape
        return [
            MapKernel(g * group + out + 1, g * group + of + 1, theta_GOIAB[g, out, of], keys // 2)
            for g in range(groups)
            for out in range(group)
            for of in range(group)
        ]

    def shown_matrix(self) -> Tensor:
        """Return what each head reads of each at the place itself."""
        return self.kernel.detach()[..., 0, self.kernel.shape[-1] // 2]
