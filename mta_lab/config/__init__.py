"""A run's frozen configuration: its types, how its layers are merged, what identifies it."""

from mta_lab.config.canonical import difference, differing, flatten, plain
from mta_lab.config.checkpoint import InitConfig, identified_by
from mta_lab.config.identity import fingerprint, fingerprints, identity_of
from mta_lab.config.layers import InvalidError, Layer, command_line, in_full, in_words, nested
from mta_lab.config.meaning import in_plain_torch
from mta_lab.config.reader import NOTHING, read_yaml
from mta_lab.config.resolve import component, component_of, resolve, resolve_run, scale_layer, scales, shortened_warmup
from mta_lab.config.schema import RunConfig
from mta_lab.config.sections import DataConfig, ModelConfig, Split
from mta_lab.config.stage import StageConfig, attention_before, chain_of, parent_of, started_from, throughout
from mta_lab.config.training import Precision, TrainingConfig

__all__ = [
    "NOTHING",
    "DataConfig",
    "InitConfig",
    "InvalidError",
    "Layer",
    "ModelConfig",
    "Precision",
    "RunConfig",
    "Split",
    "StageConfig",
    "TrainingConfig",
    "attention_before",
    "chain_of",
    "command_line",
    "component",
    "component_of",
    "difference",
    "differing",
    "fingerprint",
    "fingerprints",
    "flatten",
    "identified_by",
    "identity_of",
    "in_full",
    "in_plain_torch",
    "in_words",
    "nested",
    "parent_of",
    "plain",
    "read_yaml",
    "resolve",
    "resolve_run",
    "scale_layer",
    "scales",
    "shortened_warmup",
    "started_from",
    "throughout",
]
