"""The time and memory of a run on a device that need not be here, by arithmetic alone."""

from dataclasses import dataclass, replace

from mta_lab.config import Precision, RunConfig
from mta_lab.devices.known import Device
from mta_lab.model import count_used_parameters
from mta_lab.training.sizes import GPU_SHARE, StepMemory, micro_batch_of, step_memory

UTILISATION = 0.4
"""share of a device's peak that training is assumed to reach:
Llama 3's reached 0.38 to 0.43 of an H100's (2407.21783, table 4)"""
AGAIN = 4 / 3
"""operations of a step that computes its blocks anew, over those of one that does not"""


def resolved_on(device: Device, config: RunConfig) -> RunConfig:
    """Return `config` with its precision `auto` replaced by the one of the device's higher peak."""
    if config.training.precision != "auto":
        return config
    faster: Precision = "bf16" if device.peaks.get("bf16", 0.0) > device.peaks.get("fp32", 0.0) else "fp32"
    return replace(config, training=replace(config.training, precision=faster))


def operations(config: RunConfig) -> float:
    """Return the operations of a whole run, about: 6 for each token and parameter it passes.

    Source: Kaplan et al. 2020, 2001.08361.
    """
    return operations_of(config, config.training.batch_size) * config.training.steps


def operations_of(config: RunConfig, sequences: int) -> float:
    """Return the operations of a training step over so many sequences, about."""
    return 6.0 * count_used_parameters(config) * sequences * config.context


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """The time and memory of a run on a device."""

    operations: float
    """floating-point operations of the whole run, those made twice counted twice"""
    seconds: float
    micro_batch: int
    """sequences read at a time on a device: as set, or the most that fit"""
    memory: StepMemory
    """of a step on a device"""
    fits: bool
    """True if the step takes no more of the device's memory than it may"""


def on_device(config: RunConfig, device: Device, devices: int = 1) -> Arithmetic:
    """Return the time and memory of a run of `config` on so many of a device together.

    Raises:
        UserError: the device's description lacks the peak of the run's precision.
    """
    micro_batch = micro_batch_of(config, device.memory, GPU_SHARE, devices)
    memory = step_memory(config, micro_batch).over(devices)
    done = operations(config) * (AGAIN if config.training.recompute == "blocks" else 1.0)
    return Arithmetic(
        operations=done,
        seconds=done / (UTILISATION * device.peak(config.training.precision) * devices),
        micro_batch=micro_batch,
        memory=memory,
        fits=memory.total <= GPU_SHARE * device.memory,
    )
