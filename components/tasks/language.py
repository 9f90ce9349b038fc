"""Language modelling (2504.00927, section 4.3): the text comes from the engine, as `data` says."""

from typing import ClassVar

from components.registry import register
from components.tasks.base import Quantity, TaskConfig


@register("tasks", "language")
class Language(TaskConfig):
    """Next-token prediction on the text of `data`."""

    quantity: ClassVar[Quantity] = "perplexity"
