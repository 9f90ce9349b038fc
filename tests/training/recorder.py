"""Watches a run from outside: how its model is built, what it reads, how the optimizer steps.

Tensors are kept on the CPU, whatever the run is trained on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mta_lab.model import Decoder


@dataclass
class Recording:
    """The events of one run, in order."""

    model: Decoder | None = None
    start: dict[str, Tensor] = field(default_factory=dict)
    """every parameter before the first step, by name"""
    batches: list[Tensor] = field(default_factory=list)
    """the inputs of each training step"""
    random: list[Tensor] = field(default_factory=list)
    """the seeds of the sequences' dropout in the first layer, before each training step"""
    validated: list[Tensor] = field(default_factory=list)
    """the inputs of each validation batch"""
    rates: list[float] = field(default_factory=list)
    """the learning rate of each optimizer step"""


@contextmanager
def recording() -> Iterator[Recording]:
    """Record the run inside the block, through torch's global hooks."""
    seen = Recording()

    def before_forward(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if isinstance(module, Decoder):
            if seen.model is None:
                seen.model = module
                seen.start = {name: value.detach().clone().cpu() for name, value in module.named_parameters()}
            if module.training or not torch.is_grad_enabled():  # else its operations are counted
                if module.training:
                    seeds = module.blocks[0].attention.dropout_seeds
                    seen.random.extend([] if seeds is None else [seeds.clone().cpu()])
                (seen.batches if module.training else seen.validated).append(arguments[0].detach().clone().cpu())

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        seen.rates.append(float(optimizer.param_groups[0]["lr"]))  # an initialiser may give others another one

    hooks = [register_module_forward_pre_hook(before_forward), register_optimizer_step_pre_hook(before_step)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
