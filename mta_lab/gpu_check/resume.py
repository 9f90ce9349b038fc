"""Stage `resume`: a run that is interrupted and goes on ends as a whole one, to the bit."""

from pathlib import Path
from typing import Any

import torch

from mta_lab.config import Layer, RunConfig, resolve, scale_layer
from mta_lab.devices import own
from mta_lab.gpu_check.stages import StageError
from mta_lab.training import InterruptedRunError, tensors
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.run import train

STEPS, MOMENT = 12, 5  # of the run; after how many it is interrupted
SETTINGS = {
    "task": {"name": "find_block", "letters": 3, "blocks": 8, "held_out": 20},
    "attention": {"name": "multi_token", "dropout": 0.1},
    "model": {"width": 32, "heads": 4, "layers": 4, "vocabulary": 28, "context": 64},
    "training": {"steps": STEPS, "batch_size": 8, "warmup_steps": 2, "validations": 2, "deterministic": True},
}


def run(folder: Path, _: bool) -> dict[str, Any]:
    """Return what computed the run; raise StageError where the two differ in a bit."""
    config = resolve([scale_layer("nano"), Layer("gpu-check", SETTINGS)])
    whole, one = _trained(config, folder / "whole", None)
    parts, other = _trained(config, folder / "parts", MOMENT)
    if one.keys() != other.keys() or not all(torch.equal(one[name], other[name]) for name in one):
        far = max(float((one[name] - other[name]).abs().max()) for name in one)
        raise StageError(f"the weights of a resumed run differ by up to {far:.2e} from a whole one's, allowed: 0")
    if whole.losses != parts.losses or whole.validations != parts.validations:
        raise StageError(f"curves differ: {whole.losses} and {parts.losses}")
    return {"steps": STEPS, "interrupted_after": MOMENT, "attention": dict(whole.implementations), **own.place()}


def _trained(config: RunConfig, folder: Path, moment: int | None) -> tuple[Any, Any]:
    """Train, interrupted once at that moment; return the result and the weights."""
    consulted = iter(range(1 << 20))
    arguments: dict[str, Any] = {"checkpoints": Checkpoints(folder / "run"), "weights": folder / "weights.pt"}
    folder.mkdir()
    if moment is not None:
        try:
            train(config, None, interrupted=lambda: next(consulted) == moment, **arguments)
        except InterruptedRunError as end:
            if not end.step:
                raise StageError("the interrupted run was not kept") from None
        else:
            raise StageError("the run was not interrupted")
    return train(config, None, **arguments), tensors.read(folder / "weights.pt")
