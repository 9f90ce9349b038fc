"""Train a run on several devices: each process has a shard of the weights, and a share of a batch.

FSDP2 gathers the weights of a block where they are needed, and adds the gradients up. Lightning
knows nothing of it, and sees a run on one device: as one of several processes it would ask all of
them before each step whether one was told to end, and wait for the device (2.6,
`_TrainingEpochLoop._broadcast_sigterm_tensor`). So its ModelParallelStrategy is not used, which
does no more than `shard` does here.

Source: Zhao et al. 2023 (arXiv 2304.11277).
"""

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from mta_lab.devices import own
from mta_lab.training.ranks import Ranks

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
"""All processes are on this machine: none of them listens to others, or asks for its name."""
PATIENCE = timedelta(hours=2)  # that the others wait for one which writes a checkpoint, or is slow


class Sharded(Ranks):
    """One of several processes that train a run."""

    def __init__(self, rank: int, count: int, meeting: Path) -> None:
        """Wait until all have come. They meet by a file, which nobody else may write or read.

        A port would be open to every user of the machine, and could be taken before it is used.
        """
        self.rank, self.count = rank, count
        for name, value in LOOPBACK.items():
            os.environ.setdefault(name, value)
        device = torch.device("cuda", 0) if own.on_gpu() else None  # each process sees its own GPU alone
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device else "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=count,
            timeout=PATIENCE,
            device_id=device,
        )

    def shard(self, model: nn.Module) -> None:
        """Shard each block's weights, and those around the blocks."""
        mesh = init_device_mesh(own.device().type, (self.count,))
        for block in model.get_submodule("blocks").children():
            fully_shard(block, mesh=mesh)
        # Those would else stay gathered after a validation, in place of the shards that an
        # optimizer is made of and `zero_grad` clears.
        fully_shard(model, mesh=mesh, reshard_after_forward=True)
        # `Decoder.loss` multiplies by the embedding outside of that module's forward, and makes its
        # gradient there: the whole matrix is there as long as the method runs.
        register_fsdp_forward_method(model, "loss")
        for part in model.modules():
            if isinstance(part, FSDPModule):
                # Gradients are summed, not averaged: a share's loss is over the whole batch.
                part.set_gradient_divide_factor(1.0)
                part.set_force_sum_reduction_for_comms(True)  # Gloo has no other

    def full(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state with each tensor gathered, on the CPU of the first process."""
        return {name: self._full(value) for name, value in state.items()}

    def _full(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.full(value)
        if not isinstance(value, DTensor):
            return value
        whole = value.full_tensor()
        return whole.cpu() if self.rank == 0 else None

    def cut(self, optimizer: dict[str, Any], parameters: Iterable[nn.Parameter]) -> dict[str, Any]:
        """Return the state with each tensor that is shaped like its parameter cut as that is."""
        by_number = dict(enumerate(parameters))
        state = {
            number: {name: _cut(value, by_number[number]) for name, value in values.items()}
            for number, values in optimizer["state"].items()
        }
        return {**optimizer, "state": state}

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Set each tensor to its sum over all processes."""
        for tensor in tensors:
            dist.all_reduce(tensor)

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Return of each flag whether a process raised it; no device waits for it."""
        raised = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(map(bool, raised.tolist()))

    def least(self, number: int) -> int:
        """Return the least number that a process gave."""
        least = torch.tensor(number)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        return int(least)

    def places(self, place: Mapping[str, str]) -> Mapping[str, str]:
        """Return each value once, joined where they differ."""
        found: list[Mapping[str, str]] = [{}] * self.count
        dist.all_gather_object(found, place)
        return {name: ", ".join(dict.fromkeys(one[name] for one in found)) for name in place}


def _cut(value: Any, parameter: nn.Parameter) -> Any:
    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:  # AdamW's count of steps is whole
        return value
    # None: every process has read the whole of it, and nothing is sent.
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
