"""Language modelling (2504.00927, section 4.2): the text comes from the engine, as `data` says."""

from typing import ClassVar

from components.evaluations import Evaluation, Perplexity
from components.registry import ComponentError, register
from components.tasks.base import TaskConfig

SMALLEST_VOCABULARY = 257  # 256 bytes and the end of text


@register("tasks", "language")
class Language(TaskConfig):
    """Next-token prediction on the text of `data`."""

    evaluation: ClassVar[Evaluation] = Perplexity()

    def check(self, *, vocabulary: int, context: int) -> None:
        if vocabulary < SMALLEST_VOCABULARY:
            raise ComponentError(
                f"language needs model.vocabulary={SMALLEST_VOCABULARY} or more (256 bytes, end of text), "
                f"got {vocabulary}"
            )
