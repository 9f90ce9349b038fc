"""The feed-forward of GPT-2 with the exact GELU (Hendrycks and Gimpel 2016, 1606.08415)."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from components.feed_forward.base import PlainConfig
from components.registry import register


@register("feed_forward", "gelu")
class Gelu(PlainConfig):
    """Two matrices with a GELU between them, computed by the error function."""

    def activation(self) -> Callable[[Tensor], Tensor]:
        return F.gelu
