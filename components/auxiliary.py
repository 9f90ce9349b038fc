"""Losses that a module has beside the task's, such as one that balances the load of experts."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from components.registry import ComponentError


@runtime_checkable
class HasLosses(Protocol):
    """A module with losses of its own; a run minimises those that `training.auxiliary` weighs."""

    def auxiliary_losses(self) -> Mapping[str, Tensor]:
        """Return the losses of the last forward pass by name, each a scalar with its gradient.

        Make each a mean over sequences: then it is the same in however many parts a batch is read.
        """


def auxiliary_losses(model: nn.Module) -> dict[str, Tensor]:
    """Return the losses of all modules of the last forward pass, summed where several share a name.

    Raises ComponentError for one that is no scalar tensor of floating-point numbers.
    """
    found: dict[str, Tensor] = {}
    for module in model.modules():
        if isinstance(module, HasLosses):
            for name, loss in module.auxiliary_losses().items():
                if not isinstance(loss, Tensor) or loss.dim() or not loss.is_floating_point():
                    given = f"a tensor of shape {list(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
                    said = f"{type(module).__name__}.auxiliary_losses: got {given} as '{name}'"
                    raise ComponentError(f"{said}, allowed: a tensor of one number")
                found[name] = found[name] + loss if name in found else loss
    return found
