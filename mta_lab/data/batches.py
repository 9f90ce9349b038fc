"""Make batches as pure functions of (seed, step): any step can be read without earlier ones.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mta_lab.config import Split
from mta_lab.data.shards import Tokens
from mta_lab.errors import UserError


class TrainingBatches(Dataset[Tensor]):
    """Training batches: item k, [B, T + 1] int64, is the batch of step k.

    It is B windows at random places, in domains that are drawn by their shares.
    """

    def __init__(
        self,
        domains: Mapping[str, Tokens],
        shares: Mapping[str, float],
        *,
        seed: int,
        steps: int,
        batch_size: int,
        context: int,
    ) -> None:
        for name, tokens in domains.items():
            _check_length(f"{name}, training", tokens, context)
        self.tokens = [domains[name] for name in sorted(domains)]
        self.shares = np.array([shares[name] for name in sorted(domains)])
        self.seed, self.steps, self.batch_size, self.context = seed, steps, batch_size, context

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Tensor:
        random = np.random.default_rng((self.seed, step))
        chosen = random.choice(len(self.tokens), size=self.batch_size, p=self.shares)
        places = random.random(self.batch_size)
        windows = []
        for domain, place in zip(chosen, places, strict=True):
            tokens = self.tokens[domain]
            start = int(place * (len(tokens) - self.context))
            windows.append(tokens[start : start + self.context + 1])
        return torch.from_numpy(np.stack(windows).astype(np.int64))


class ValidationBatches(Dataset[Tensor]):
    """About `limit` tokens of one domain's held-out text, in windows one after the other."""

    def __init__(self, tokens: Tokens, *, limit: int, batch_size: int, context: int, evaluate: Split = "valid") -> None:
        _check_length("validation", tokens, context)
        starts = window_starts(len(tokens), limit=limit, context=context, evaluate=evaluate)
        self.batches = np.array_split(starts, -(-len(starts) // batch_size))
        self.tokens, self.context = tokens, context

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Tensor:
        windows = [self.tokens[start : start + self.context + 1] for start in self.batches[index]]
        return torch.from_numpy(np.stack(windows).astype(np.int64))


def window_starts(tokens: int, *, limit: int, context: int, evaluate: Split) -> NDArray[np.integer]:
    """Return the first token of each window in a domain's held-out text of `tokens` tokens.

    The windows of 'valid' are in its first `limit` tokens (one window at least), those of 'test'
    are as many at its end.

    Raises:
        UserError: 'valid' and 'test' would share a token.
    """
    if evaluate == "valid":
        return np.arange(max(1, min(limit, tokens - 1) // context)) * context
    windows = max(1, limit // context)
    needed = 2 * (windows * context + 1)
    if needed > tokens:
        raise UserError(
            f"data.evaluate: 'test' needs held-out text that 'valid' does not read: {needed} tokens for "
            f"training.validation_tokens={limit}, but there are {tokens}"
        )
    return np.arange(windows) * context + (tokens - 1 - windows * context)


def _check_length(what: str, tokens: Tokens, context: int) -> None:
    if len(tokens) < context + 1:
        raise UserError(f"data: {what}: has {len(tokens)} tokens, but model.context={context} needs {context + 1}")
