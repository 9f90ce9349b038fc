"""LayerNorm as a module (Ba et al. 2016, 1607.06450), computed in float32 at least."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.norms.rms import NORM_EPS, widened


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm` over the last dimension, times a fixed `scale`.

    Its weight and its bias are learned.
    """

    def __init__(self, width: int, scale: float = 1.0) -> None:
        super().__init__(width, eps=NORM_EPS)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Take each row's mean from it, divide by its standard deviation; then weight and bias."""
        dtype = torch.promote_types(x.dtype, self.weight.dtype)
        y = F.layer_norm(widened(x), self.normalized_shape, widened(self.weight), widened(self.bias), self.eps)
        return (y if self.scale == 1.0 else y * self.scale).to(dtype)
