"""RMSNorm as a module (Zhang & Sennrich 2019, 1910.07467), computed in float32 at least."""

import torch
from torch import Tensor, nn

from components.kernels import pointwise
from components.kernels.substitute import Switched

WIDE = (torch.float32, torch.float64)
NORM_EPS = 1e-5
"""added to the mean square (the official configs)"""


class RMSNorm(Switched, nn.RMSNorm):
    """`torch.nn.RMSNorm` over the last dimension, times a fixed `scale`; faster on a CPU.

    Its weight is learned.
    """

    each_token_alone = True
    eps: float

    def __init__(self, width: int, scale: float = 1.0) -> None:
        super().__init__(width, eps=NORM_EPS)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Divide each row by its root mean square, times the weight and the scale."""
        return rms_norm(x, self.scaled_weight(), self.eps, compiled=self.compiled)

    def scaled_weight(self) -> Tensor:
        """Return the weight times the scale."""
        return self.weight if self.scale == 1.0 else self.weight * self.scale


def rms_norm(x: Tensor, weight_d: Tensor, eps: float = NORM_EPS, *, compiled: bool = True) -> Tensor:
    """Return x / sqrt(mean(x^2) + eps) * weight over the last dimension.

    It is computed in the wider of their dtypes.
    """
    dtype = x.dtype if x.dtype == weight_d.dtype else torch.promote_types(x.dtype, weight_d.dtype)
    return pointwise.rms_norm(widened(x), widened(weight_d), eps, compiled=compiled).to(dtype)


def widened(x: Tensor) -> Tensor:
    """Return `x` in float32, or in float64 if it is that."""
    return x if x.dtype in WIDE else x.to(torch.promote_types(x.dtype, torch.float32))
