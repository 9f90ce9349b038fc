"""A user's task, scored by token accuracy (more is better), that a model learns in a few steps."""

from typing import ClassVar

import torch
from torch import Tensor

from components.evaluations import Evaluation, TokenAccuracy
from components.registry import register
from components.tasks import SyntheticTask


@register("tasks", "easy")
class Easy(SyntheticTask):
    """Four random tokens, and then always the same one."""

    evaluation: ClassVar[Evaluation] = TokenAccuracy()

    @property
    def vocabulary(self) -> int:
        return 8

    @property
    def context(self) -> int:
        return 4

    def sequences(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        tokens = torch.randint(8, (count, 5), generator=generator)
        tokens[:, -1] = 3
        scored = torch.zeros(count, 4, dtype=torch.bool)
        scored[:, -1] = True
        return tokens, scored

    def text(self, tokens: Tensor) -> str:
        return " ".join(map(str, tokens.tolist()))
