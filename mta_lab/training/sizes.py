"""The memory of a training step, by arithmetic, and the micro-batch that fits.

Counted on the tensors that shipped variants save: a layer keeps 8 rows of the model's width for
each token and those that its norms read, as many numbers as its feed-forward has weights for each
channel, and maps of the attention only where its implementation stores them.
"""

import math
from dataclasses import dataclass, replace

from components.kernels.linear_cross_entropy import CHUNK
from mta_lab.config import RunConfig
from mta_lab.model import count_feed_forward, count_parameters, layers_with_maps

FLOAT = 4  # bytes: weights, optimizer and, outside autocast, activations
LITTLE = 1 << 30  # bytes that any machine has: up to this nothing is asked of it
GPU_SHARE = 0.85  # of a GPU's memory, which a run has for itself
SHARE = 0.5  # of the memory that is free: other workers, and what is not counted here, need some
MAPS = 4  # that a layer keeps where it stores them, at most among the shipped variants


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes that one training step takes at most, by what they hold."""

    weights: int
    gradients: int
    optimizer: int
    """what it keeps for each weight: AdamW two means"""
    activations: int
    """kept for the backward pass"""
    logits: int
    """of a chunk of positions, with their gradient; of all where a step makes them at once"""

    @property
    def total(self) -> int:
        """Return their sum."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits

    def over(self, devices: int) -> "StepMemory":
        """Return the memory on each of so many devices that share weights, gradients, optimizer."""
        parts = {name: math.ceil(getattr(self, name) / devices) for name in ("weights", "gradients", "optimizer")}
        return replace(self, **parts)


def step_memory(config: RunConfig, sequences: int) -> StepMemory:
    """Return the memory of a step of `config` that reads `sequences` at a time."""
    model, tokens = config.model, sequences * config.context
    rows = 8 + 2 * model.residual_norms.kept + 2 * model.qk_norm
    heads = 4 * (model.attention_width - model.width)  # queries, keys, values, and what heads read
    block = tokens * (rows * model.width + heads + math.ceil(count_feed_forward(model) / model.width))
    maps, layers = MAPS * model.heads * tokens * config.context, layers_with_maps(config)
    kept = block * model.layers + maps * layers
    if config.training.recompute == "blocks":
        kept = tokens * model.width * model.layers + block + (maps if layers else 0)
    parameters = FLOAT * count_parameters(config)
    training, in_graph = config.training, config.training.compile == "graph"
    whole = training.reads_logits or training.precision == "fp16" or in_graph
    return StepMemory(
        weights=parameters * (1 + (training.ema > 0) + in_graph),  # a graph reads copies
        gradients=parameters,
        optimizer=round(config.training.optimizer.kept * parameters),
        activations=FLOAT * kept,
        logits=2 * FLOAT * (tokens if whole else min(tokens, CHUNK)) * model.vocabulary,
    )


def micro_batch_of(config: RunConfig, free: float, share: float = SHARE, devices: int = 1) -> int:
    """Return how many sequences each device reads at a time: as set, or as many as memory holds.

    The number divides the batch's share of a device. A step that needs little reads all of it,
    whatever is free.

    Args:
        config: the run's configuration.
        free: bytes of memory that are free on each device.
        share: the part of them that a step may take.
        devices: how many train the run together.
    """
    training, most = config.training, config.training.batch_size // devices
    if training.micro_batch != "auto":
        return min(training.micro_batch, most)
    allowed = max(LITTLE, share * free)
    divisors = (n for n in range(most, 0, -1) if most % n == 0)
    return next((n for n in divisors if step_memory(config, n).over(devices).total <= allowed), 1)
