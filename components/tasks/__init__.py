"""Tasks, one file each."""

from components.tasks.base import Quantity, SyntheticTask, TaskConfig
from components.tasks.find_block import FindBlock
from components.tasks.language import Language

__all__ = ["FindBlock", "Language", "Quantity", "SyntheticTask", "TaskConfig"]
