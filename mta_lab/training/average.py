"""Average a model's weights over its steps, exponentially (`training.ema`).

Source: Polyak and Juditsky 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage.
"""

from copy import deepcopy

import torch

from mta_lab.model import Decoder


class Average:
    """A second model, of which every step moves the weights a little towards the first one's."""

    def __init__(self, model: Decoder, keep: float) -> None:
        """Begin at the model's weights; a step keeps `keep` of the average, early ones less."""
        self.model = deepcopy(model).eval().requires_grad_(False)
        self._keep = keep

    @torch.no_grad()
    def add(self, model: Decoder, step: int) -> None:
        """Add the weights after step `step`, counted from 1.

        It keeps (1 + step) / (10 + step) at most, so that the drawn weights are soon forgotten.
        """
        share = 1.0 - min(self._keep, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, share)
        for kept, given in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(given)
