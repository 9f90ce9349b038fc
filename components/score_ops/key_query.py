"""Key-query convolution (2504.00927, section 3.1): each logit or weight sees its neighbours in queries and keys."""

from dataclasses import replace
from typing import Literal, Self, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.kernel_init import Identity, KernelInitConfig
from components.registry import ComponentError, register
from components.score_ops.base import LayerRule, ScoreOp, ScoreOpConfig, Stage

Mask = Literal["double", "exact"]


@register("score_ops", "key_query")
class KeyQuery(ScoreOpConfig):
    """A convolution over the last c_q queries and c_k keys around each place, one kernel a head (equations 5, 6)."""

    layers: LayerRule = "every 4"
    """layers that carry the convolution: 'all', 'none', 'every 4' (layers 3, 7, 11, ...) or a list like [3, 7]"""
    kernel: tuple[int, int] = (6, 11)
    """c_q, c_k: how many queries and keys the kernel spans"""
    mask: Mask = "double"
    """'double' reads an earlier query's keys up to that query (equation 5), 'exact' up to the row's own (equation 4)"""
    init: KernelInitConfig = Identity()
    """the kernel's initial values"""

    def __post_init__(self) -> None:
        if len(self.kernel) != 2 or min(self.kernel) < 1:
            raise ComponentError(f"kernel: got {list(self.kernel)}, allowed: two sizes of at least 1, like [6, 11]")
        if self.mask not in get_args(Mask):
            raise ComponentError(f"mask: got {self.mask!r}, allowed: {', '.join(get_args(Mask))}")

    def identity(self) -> Self:
        return replace(self, init=Identity())

    def build(self, *, heads: int) -> ScoreOp:
        kind = KeyQueryConvolution if self.mask == "double" else ExactConvolution
        return kind(heads=heads, kernel=self.kernel, init=self.init)


class KeyQueryConvolution(ScoreOp):
    """S'[i, j] = sum over a, b of theta[a, b] S[i - a, j - b], keys after their query read as zero.

    a = 0 .. c_q - 1 and b = -(c_k // 2) .. c_k - 1 - c_k // 2; zero padding outside. This is the paper's `double`
    masking: zero here, and the caller masks again.
    """

    def __init__(self, *, heads: int, kernel: tuple[int, int], init: KernelInitConfig) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(heads, *kernel))
        self.init = init
        self.earlier_queries = kernel[0] - 1
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """Fill the kernel as its `kernel_init` says."""
        self.init.fill(self.kernel, draw("kernel"))

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Convolve each head's map with its kernel."""
        return convolve(scores_BMQK.masked_fill(~visible_QK, 0.0), self.kernel, above=self.kernel.shape[1] - 1)

    def stage(self) -> Stage:
        return Stage("convolve", self.kernel)


class ExactConvolution(KeyQueryConvolution):
    """The same sum over 0 <= j - b <= i: of every earlier query, all keys that the row's own query sees (equation 4).

    After the softmax nothing changes: weights at keys after their query are zero.
    """

    reads_invisible = True

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Convolve along keys, one earlier query after another, each under the mask of the row that reads it."""
        queries, rows = self.kernel.shape[1], scores_BMQK.shape[2]
        above = F.pad(scores_BMQK, (0, 0, queries - 1, 0))
        convolved_BMQK = torch.zeros_like(scores_BMQK)
        for a in range(queries):
            earlier_BMQK = above.narrow(2, queries - 1 - a, rows)  # in row i: what row i - a held
            seen_BMQK = earlier_BMQK.masked_fill(~visible_QK, 0.0)
            convolved_BMQK = convolved_BMQK + convolve(seen_BMQK, self.kernel[:, a : a + 1], above=0)
        return convolved_BMQK

    def stage(self) -> Stage:
        return Stage("convolve_exact", self.kernel)


def convolve(scores_BMQK: Tensor, kernel_MAB: Tensor, *, above: int) -> Tensor:
    """Convolve each head with its kernel under `above` rows of zeros: Q + above - (A - 1) rows, as many keys."""
    heads, _, keys = kernel_MAB.shape
    after = keys // 2
    padded = F.pad(scores_BMQK, (keys - 1 - after, after, above, 0))
    return F.conv2d(padded, kernel_MAB.flip(1, 2).unsqueeze(1), groups=heads)
