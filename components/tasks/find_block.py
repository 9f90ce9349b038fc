"""The toy task (2504.00927, section 4.1): find the one block with all letters of a question.

    hjnvt.qfjgt.whftb.bjtpq#pb -> bjtpq, or its first letter, or its last one

Plain attention finds one letter at a time; to find a block it has to combine where several of them
were found.

Shapes: B sequences, K blocks, N letters a block, L letters in the question, T tokens, A letters
in the alphabet, O letters outside the question.
"""

import re
from math import comb
from string import ascii_lowercase
from typing import Literal

import torch
from torch import Tensor

from components.registry import ComponentError, register
from components.tasks.base import Marks, SyntheticTask

ALPHABET = len(ascii_lowercase)
SYMBOLS = ascii_lowercase + ".#"
DOT, HASH = ALPHABET, ALPHABET + 1
Answer = Literal["all", "first", "last"]


@register("tasks", "find_block")
class FindBlock(SyntheticTask):
    """Blocks of distinct letters, then a question: the block with its letters, or a part of it.

    The part is the block's first or last letter.
    """

    letters: int = 5
    """N, distinct letters a block"""
    blocks: int = 52
    """blocks a sequence"""
    question: int = 2
    """L, letters in the question; they stand in one block together, in any order"""
    answer: Answer = "all"
    """what is asked for: the 'all' letters of that block, its 'first' or its 'last' one"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.letters < ALPHABET:
            raise ComponentError(f"letters: got {self.letters}, allowed: 1 to {ALPHABET - 1}")
        if self.blocks < 1:
            raise ComponentError(f"blocks: got {self.blocks}, allowed: 1 or more")
        if not 1 <= self.question <= self.letters:
            raise ComponentError(f"question: got {self.question}, allowed: 1 to letters ({self.letters})")

    @property
    def vocabulary(self) -> int:
        return len(SYMBOLS)

    @property
    def context(self) -> int:
        return self.blocks * (self.letters + 1) + self.question + self._answer_length - 1

    def sequences(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        blocks_BKN, target_BN, question_BL = self._draw(count, generator)
        ends_BK1 = torch.full((count, self.blocks, 1), DOT)
        ends_BK1[:, -1] = HASH
        answer_BN = {"all": target_BN, "first": target_BN[:, :1], "last": target_BN[:, -1:]}[self.answer]
        tokens = torch.cat([torch.cat([blocks_BKN, ends_BK1], dim=-1).flatten(1), question_BL, answer_BN], dim=1)
        scored_BT = torch.zeros(count, self.context, dtype=torch.bool)
        scored_BT[:, -self._answer_length :] = True
        return tokens, scored_BT

    def text(self, tokens: Tensor) -> str:
        text = "".join(SYMBOLS[token] for token in tokens.tolist())
        return f"{text[: -self._answer_length]} -> {text[-self._answer_length :]}"

    def labels(self, tokens: Tensor) -> list[str]:
        return [SYMBOLS[token] for token in tokens.tolist()]

    def encode(self, text: str) -> Tensor:
        if unknown := [letter for letter in text if letter not in SYMBOLS]:
            raise ComponentError(f"got '{unknown[0]}', allowed: letters a-z, '.' and '#', like abc.def#ba")
        return torch.tensor([SYMBOLS.index(letter) for letter in text])

    def marks(self, tokens: Tensor) -> Marks:
        """Return the block that holds the whole question, and its places; nothing without."""
        blocks, _, rest = "".join(self.labels(tokens)).partition("#")
        found = [match for match in re.finditer("[a-z]+", blocks) if set(rest[: self.question]) <= set(match.group())]
        if len(rest) < self.question or len(found) != 1:
            return Marks()
        asked = len(blocks) + self.question  # the question's last letter, which predicts the answer's first
        return Marks(range(*found[0].span()), range(asked, len(tokens)))

    @property
    def _answer_length(self) -> int:
        return self.letters if self.answer == "all" else 1

    def _draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Blocks [B, K, N], the target among them [B, N] and the question [B, L], as letters 0..25.

        Each sequence shuffles the alphabet: its first L letters are the question. Each block is
        then a random one of those that hold as many of these as they should: the target all L, any
        other k < L, where k is drawn with the probability it has in random blocks. So the others
        are random blocks without the whole question.
        """
        N, K, L = self.letters, self.blocks, self.question
        rows = torch.arange(count)

        def random(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator)

        alphabet_BA = random(count, ALPHABET).argsort(-1)
        place_B = torch.randint(K, (count,), generator=generator)
        chances = torch.tensor([comb(L, k) * comb(ALPHABET - L, N - k) for k in range(L)], dtype=torch.float64)
        k_BK = torch.multinomial(chances, count * K, replacement=True, generator=generator).view(count, K)
        k_BK[rows, place_B] = L
        others = min(N, ALPHABET - L)
        asked_BKL, others_BKO = random(count, K, L).argsort(-1), random(count, K, ALPHABET - L).topk(others).indices + L
        taken = torch.cat([torch.arange(L) < k_BK[..., None], torch.arange(others) < N - k_BK[..., None]], dim=-1)
        shuffled_BKN = (random(count, K, L + others) + taken).topk(N).indices  # the N that are taken, in random order
        indices_BKN = torch.cat([asked_BKL, others_BKO], dim=-1).gather(-1, shuffled_BKN)
        blocks_BKN = alphabet_BA.gather(-1, indices_BKN.flatten(1)).view(count, K, N)
        return blocks_BKN, blocks_BKN[rows, place_B], alphabet_BA[:, :L]
