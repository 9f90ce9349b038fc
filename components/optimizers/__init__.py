"""Optimizers, one file each."""

from components.optimizers.adafactor import Adafactor
from components.optimizers.adamw import ADAMW, AdamW
from components.optimizers.base import AdamConstants, OptimizerConfig
from components.optimizers.lion import Lion
from components.optimizers.muon import Muon
from components.optimizers.sgd import Sgd
from components.optimizers.weights import Kind, Weight, grouped, weights_of

__all__ = [
    "ADAMW",
    "Adafactor",
    "AdamConstants",
    "AdamW",
    "Kind",
    "Lion",
    "Muon",
    "OptimizerConfig",
    "Sgd",
    "Weight",
    "grouped",
    "weights_of",
]
