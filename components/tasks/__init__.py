"""Tasks, one file each."""

from components.tasks.base import SyntheticTask, TaskConfig
from components.tasks.exercised import ExercisedTask
from components.tasks.find_block import FindBlock
from components.tasks.grouped import GroupedTask
from components.tasks.language import Language
from components.tasks.needles import SymbolNeedles
from components.tasks.practice import Practice

LANGUAGE: TaskConfig = Language()
"""next-token prediction on text: the default of a run"""

__all__ = [
    "LANGUAGE",
    "ExercisedTask",
    "FindBlock",
    "GroupedTask",
    "Language",
    "Practice",
    "SymbolNeedles",
    "SyntheticTask",
    "TaskConfig",
]
