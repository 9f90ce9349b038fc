"""Scale the loss of a run in fp16, whose gradients would else be too small for float16.

float16 has numbers from 6e-8 to 65504. The loss is multiplied by a power of two, so that gradients
lie between, and these are divided by it, in float32, before they are clipped. A step with a
gradient that is not finite moves no weights, and halves the scale; 2000 steps in a row without one
double it.

Source: Micikevicius et al. 2018 (1710.03740, section 3.2).
"""

from typing import Any

import torch
from torch import Tensor

LEAST = 1.0  # a scale below it is there to make gradients smaller


class LossScale:
    """The scale of a run's loss, and the steps that were skipped on its way."""

    def __init__(self, device: torch.device) -> None:
        """Begin at 65536, on the device that makes the steps."""
        self._scaler = torch.amp.GradScaler(device.type)
        self._skipped = torch.zeros((), dtype=torch.int64)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss times the scale."""
        return self._scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients of all parameters by the scale; once a step, before `step`."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, norm: Tensor) -> None:
        """Make a step, or skip it, and set the next scale; `norm` is that of all gradients.

        A fused optimizer decides on the device; for another one the device is waited for.
        """
        self._skipped = self._skipped.to(norm.device) + ~norm.isfinite()
        self._scaler.step(optimizer)
        self._scaler.update()

    def told(self, step: int) -> tuple[float, int]:
        """Return the scale, and how many steps were skipped since the run's start.

        Raises:
            FloatingPointError: gradients leave float16 as they are; the message has the step.
        """
        scale = self._scaler.get_scale()
        if scale < LEAST:
            left = "gradients are not finite in float16, whatever the loss is scaled by"
            raise FloatingPointError(f"{left}, at step {step}; training.precision=bf16 has the range of float32")
        return scale, int(self._skipped.item())

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` takes, as plain data."""
        return {"scaler": self._scaler.state_dict(), "skipped": int(self._skipped.item())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._scaler.load_state_dict(state["scaler"])
        self._skipped = torch.tensor(state["skipped"])
