"""Decide whether compiled code may replace torch's operations; all compiled operators ask here.

Compiled operators know the values and the first derivatives of plain tensors, and no more. What
asks for something else is computed by torch's own operations: transforms of torch.func,
forward-mode derivatives, subclasses of Tensor, and programs that torch.export writes, so that these
run wherever torch does. A second derivative cannot be foreseen; where one is asked for, the
compiled operators raise an error that names the switch, `compiled`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.modules.module as globally
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.autograd import forward_ad
from torch.utils.module_tracker import ModuleTracker

from components.hints import shown
from components.registry import ComponentError
from components.score_ops.base import ScoreOp

M = TypeVar("M", bound=nn.Module)
F = TypeVar("F", bound=Callable[..., Any])
PLAIN = (Tensor, nn.Parameter, FakeTensor, FunctionalTensor)
"""tensors, and what stands for them while torch.compile traces"""
NO_SECOND = (
    "compiled operators have no second derivative (create_graph=True); torch's own operations have: "
    "components.set_compiled(model, False), or training.compiled=false"
)
"""the words of `csrc/gradients.cpp`, too"""
SWITCHED_OFF = "compiled operators are off (compiled: false)"
"""why nothing compiled runs, where the switch below says so"""


class Switched:
    """A module with compiled operators in it."""

    compiled: bool = True
    """False computes it by torch's own operations, which have
    derivatives of every kind; see `set_compiled`"""


def set_compiled(model: M, on: bool) -> M:
    """Turn the compiled operators of `model` and all its parts on or off, and return it."""
    if not isinstance(on, bool):
        raise ComponentError(f"on: got {shown(on)}, allowed: True or False")
    for part in model.modules():
        if isinstance(part, Switched):
            part.compiled = on
    return model


def _decided_once(function: F) -> F:
    """Mark a function whose result torch.compile takes as a constant.

    The function itself is not compiled.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as torch.compiler.assume_constant_result
    return function


@_decided_once
def transformed() -> str | None:
    """Return which transform of torch's own operations is under way, or None."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "torch.func transforms torch's own operations"
    if forward_ad._current_level >= 0:
        return "forward-mode derivatives are those of torch's own operations"
    return None


def exported() -> str | None:
    """Return why a program that is being exported needs torch's own operations; None if none is."""
    return "torch.export writes programs that run without this package" if torch.compiler.is_exporting() else None


def obstacle(*kinds: type) -> str | None:
    """Return why no compiled code may compute operands of these types now; None where it may."""
    for kind in kinds:
        if kind not in PLAIN:
            return f"{kind.__name__} is a subclass of Tensor"
    return transformed() or exported()


def altered(op: ScoreOp) -> str | None:
    """Return what makes a call of `op` run other code than its class's; None if nothing does."""
    if hooked(op):
        return "hooks"
    if any(name in op.__dict__ for name in op.written) or _patched(type(op)):
        return "code that was replaced"
    return None


def calls_only(module: nn.Module, cls: type[nn.Module]) -> bool:
    """Return whether a call of `module` runs the `forward` of `cls` and nothing else."""
    return type(module) is cls and "forward" not in module.__dict__ and not hooked(module)


def hooked(module: nn.Module) -> bool:
    """Return whether a call of `module` runs hooks: its own, or those of all modules."""
    own = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return bool(own) or _all_are_hooked()


def _all_are_hooked() -> bool:
    if globally._global_backward_hooks or globally._global_backward_pre_hooks:
        return True
    # torch's counter of operations only notes which module runs.
    hooks = [*globally._global_forward_hooks.values(), *globally._global_forward_pre_hooks.values()]
    return not all(isinstance(getattr(hook, "__self__", None), ModuleTracker) for hook in hooks)


@_decided_once
def _patched(cls: type[ScoreOp]) -> bool:
    """Return whether the class has another attribute today than when it was defined."""
    return any(getattr(cls, name, None) is not value for name, value in cls.written.items())
