"""Tasks, one file each."""

from components.tasks.base import Quantity, TaskConfig
from components.tasks.language import Language

__all__ = ["Language", "Quantity", "TaskConfig"]
