"""Choose next tokens from their logits, and continue sequences with them.

Shapes: B batch, T tokens of the prompts, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mta_lab.generation.cache import Cache


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The choice of a token by its probability."""

    temperature: float = 0.0
    """divides the logits: above 1 it evens the probabilities out; 0 takes the most likely token"""
    top_p: float = 1.0
    """draws among the most likely tokens that have this probability together (1904.09751)"""
    seed: int = 0
    """of what is drawn: the same seed, prompts and settings give the same tokens"""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: got {self.temperature}, allowed: 0 (the most likely token) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: got {self.top_p}, allowed: more than 0, at most 1")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed: got {self.seed}, allowed: 0 or more, below 2^64")

    def chooser(self) -> Callable[[Tensor], Tensor]:
        """Return a function `logits_BV -> tokens_B`; all its calls draw from one stream."""
        generator = torch.Generator().manual_seed(self.seed)

        def choose(logits_BV: Tensor) -> Tensor:
            if self.temperature == 0:
                return logits_BV.argmax(-1)
            # On the CPU in float64, so that a GPU draws the same.
            logits_BV, places_BV = logits_BV.double().cpu().sort(dim=-1, descending=True)
            shares_BV = ((logits_BV - logits_BV[:, :1]) / self.temperature).softmax(-1)
            before_BV = shares_BV.cumsum(-1) - shares_BV
            shares_BV = shares_BV.masked_fill(before_BV >= self.top_p, 0.0)
            drawn_B1 = torch.multinomial(shares_BV, 1, generator=generator)
            return places_BV.gather(-1, drawn_B1).squeeze(-1)

        return choose


GREEDY = Sampling()


class Reader(Protocol):
    """A model that continues what a cache holds."""

    def new_cache(self, padding: Sequence[int] = ()) -> Cache:
        """Return an empty cache."""

    def next_logits(self, tokens_Bn: Tensor, cache: Cache) -> Tensor:
        """Return the logits [B, V] of the token after these, which follow those of the cache."""


@torch.no_grad()
def continued(
    model: Reader,
    prompt_BT: Tensor,
    limit: int,
    sampling: Sampling = GREEDY,
    *,
    padding: Sequence[int] = (),
    end: int | None = None,
) -> Iterator[Tensor]:
    """Yield the next token of each sequence, [B] int64, at most `limit` times.

    It stops where each has come to `end`; one that has earlier repeats it. `padding` says how many
    of the first tokens of each prompt are none.
    """
    choose, cache = sampling.chooser(), model.new_cache(padding)
    tokens_Bn, ended_B = prompt_BT, torch.zeros(len(prompt_BT), dtype=torch.bool)
    for _ in range(limit):
        next_B = choose(model.next_logits(tokens_Bn, cache)).to(prompt_BT.device)
        if end is not None:
            next_B = next_B.masked_fill(ended_B.to(next_B.device), end)
            ended_B = next_B.cpu() == end
        yield next_B
        if ended_B.all():
            return
        tokens_Bn = next_B[:, None]
