"""No positions (Kazemnejad et al. 2023, 2305.19466): a causal mask alone tells of the order."""

from components.positions.base import PositionConfig
from components.registry import register


@register("positions", "none")
class NoPositions(PositionConfig):
    """Nothing but the causal mask, from which a model can learn the order (2305.19466)."""
