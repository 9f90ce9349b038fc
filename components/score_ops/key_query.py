"""Key-query convolution (2504.00927, section 3.1): each logit or weight sees its neighbours in queries and keys."""

from dataclasses import replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.kernel_init import Identity, KernelInitConfig
from components.registry import ComponentError, register
from components.score_ops.base import LayerRule, ScoreOpConfig


@register("score_ops", "key_query")
class KeyQuery(ScoreOpConfig):
    """A convolution over the last c_q queries and c_k keys around each place, one kernel a head (equations 5, 6)."""

    layers: LayerRule = "every 4"
    """layers that carry the convolution: 'all', 'none', 'every 4' (layers 3, 7, 11, ...) or a list like [3, 7]"""
    kernel: tuple[int, int] = (6, 11)
    """c_q, c_k: how many queries and keys the kernel spans"""
    init: KernelInitConfig = Identity()
    """the kernel's initial values"""

    def __post_init__(self) -> None:
        if len(self.kernel) != 2 or min(self.kernel) < 1:
            raise ComponentError(f"kernel: got {list(self.kernel)}, allowed: two sizes of at least 1, like [6, 11]")

    def identity(self) -> Self:
        return replace(self, init=Identity())

    def build(self, *, heads: int) -> nn.Module:
        return KeyQueryConvolution(heads=heads, kernel=self.kernel, init=self.init)


class KeyQueryConvolution(nn.Module):
    """S'[i, j] = sum over a, b of theta[a, b] S[i - a, j - b], keys after their query read as zero.

    a = 0 .. c_q - 1 and b = -(c_k // 2) .. c_k - 1 - c_k // 2; zero padding outside. This is the paper's `double`
    masking: zero here, and the caller masks again.
    """

    def __init__(self, *, heads: int, kernel: tuple[int, int], init: KernelInitConfig) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(heads, *kernel))
        self.init = init
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """Fill the kernel as its `kernel_init` says."""
        self.init.fill(self.kernel, draw("kernel"))

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Convolve each head's map with its kernel."""
        heads, queries, keys = self.kernel.shape
        after = keys // 2
        padded = F.pad(scores_BMQK.masked_fill(~visible_QK, 0.0), (keys - 1 - after, after, queries - 1, 0))
        return F.conv2d(padded, self.kernel.flip(1, 2).unsqueeze(1), groups=heads)
