"""The frozen configuration of a run: its types, how its layers are merged, and what identifies it."""

from mta_lab.config.identity import ENGINE, Identity, difference, fingerprint, flatten, identity_of, plain
from mta_lab.config.resolve import Layer, command_line, resolve, scale_layer, scales
from mta_lab.config.schema import DataConfig, ModelConfig, Precision, RunConfig, Split, TrainingConfig

__all__ = [
    "ENGINE",
    "DataConfig",
    "Identity",
    "Layer",
    "ModelConfig",
    "Precision",
    "RunConfig",
    "Split",
    "TrainingConfig",
    "command_line",
    "difference",
    "fingerprint",
    "flatten",
    "identity_of",
    "plain",
    "resolve",
    "scale_layer",
    "scales",
]
