"""The contract of a task: what a model is trained on and how it is scored."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from components.registry import Component

Quantity = Literal["perplexity", "error_rate"]


@dataclass(frozen=True, kw_only=True)
class TaskConfig(Component, family="tasks"):
    """Base of all tasks."""

    quantity: ClassVar[Quantity]
    """what held-out text or sequences are scored by; lower is better"""
