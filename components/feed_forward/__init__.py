"""Feed-forwards of a decoder's blocks, one file each."""

from components.feed_forward.base import FeedForwardConfig, PlainConfig, hidden_width
from components.feed_forward.gelu import Gelu
from components.feed_forward.mixture import Mixture
from components.feed_forward.relu_squared import ReluSquared
from components.feed_forward.swiglu import SWIGLU, SwiGLU, Swiglu

__all__ = [
    "SWIGLU",
    "FeedForwardConfig",
    "Gelu",
    "Mixture",
    "PlainConfig",
    "ReluSquared",
    "SwiGLU",
    "Swiglu",
    "hidden_width",
]
