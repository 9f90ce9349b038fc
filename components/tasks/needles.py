"""Needles of symbols (after 2504.00927, section 4.4): numbers of cities in a text of random tokens.

    f7 f30 [the A1 B3 is 8 .] f2 [the A0 B3 is 5 .] f19 [the A1 B1 is 8 .] ... the A0 B3 is -> 5

A needle is six tokens, and its city two of them, so that needles share half of their names: neither
half alone tells which needle is meant. A training sequence asks for several needles, drawn with
replacement: without it, the value that was asked last would never be the answer.

Shapes: B sequences, T + 1 tokens, N needles, K questions at the end of a sequence.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

from components.evaluations import Evaluation, Found
from components.registry import ComponentError, register
from components.tasks.base import Marks
from components.tasks.grouped import GroupedTask

THE, IS, END = range(3)
FIRST = 3  # token of the first halves of names; then come second halves, numbers and filler
NEEDLE = 6  # tokens: THE, two of a city, IS, a number, END
NUMBER = 4  # place of the number in a needle
OUTERMOST = {0: -1.0, 100: 2.0}
"""rank, among needles that share a gap, of the one that is asked for at these depths"""


@register("tasks", "needles")
class SymbolNeedles(GroupedTask):
    """Numbers of cities between random tokens: some are asked for at the end.

    Held-out sequences ask for one needle, which stands at each depth in turn, the others anywhere.
    """

    evaluation: ClassVar[Evaluation] = Found()

    counts: tuple[int, ...] = (2, 4, 6)
    """needles of a training sequence; all of a batch have equally many"""
    length: int = 72
    """T, tokens of a training sequence that a model reads"""
    asked: int = 4
    """most needles that a training sequence asks for, one after the other"""
    held_out_counts: tuple[int, ...] = (2, 4, 6, 8, 10)
    """needles of held-out sequences"""
    held_out_lengths: tuple[int, ...] = (72, 144)
    """tokens of held-out sequences that a model reads"""
    depths: tuple[int, ...] = (0, 25, 50, 75, 100)
    """percent of the filler before the needle that is asked for"""
    halves: int = 4
    """different first halves of a city's name, and as many second ones"""
    numbers: int = 10
    """different numbers"""
    filler: int = 32
    """different tokens around the needles"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("length", "asked", "halves", "numbers", "filler"):
            if getattr(self, name) < 1:
                raise ComponentError(f"{name}: got {getattr(self, name)}, allowed: 1 or more")
        limits = {name: (1, self.halves**2) for name in ("counts", "held_out_counts")}
        limits |= {"held_out_lengths": (1, 1 << 20), "depths": (0, 100)}
        for name, (least, most) in limits.items():
            given: Sequence[int] = getattr(self, name)
            if not given or len({*given}) < len(given) or not all(least <= number <= most for number in given):
                raise ComponentError(f"{name}: got {list(given)}, allowed: numbers from {least} to {most}, each once")
        self._refuse_small("length", max(self.counts), min(max(self.counts), self.asked), self.length)
        self._refuse_small("held_out_lengths", max(self.held_out_counts), 1, min(self.held_out_lengths))

    def _refuse_small(self, name: str, needles: int, asked: int, length: int) -> None:
        least = NEEDLE * (needles + asked) - 2
        if length < least:
            raise ComponentError(
                f"{name}: got {length}, allowed: {least} or more for {needles} needles of which {asked} are asked for"
            )

    @property
    def vocabulary(self) -> int:
        return self._first_filler + self.filler

    @property
    def context(self) -> int:
        return self.length

    @property
    def longest(self) -> int:
        return max(self.length, *self.held_out_lengths)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self._held_out)

    def sequences(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        needles = self.counts[int(torch.randint(len(self.counts), (1,), generator=generator))]
        return self._made(count, generator, needles, min(needles, self.asked), self.length)

    def held_out_of(self, group: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        needles, length, depth = self._held_out[group]
        return self._made(self.held_out, generator, needles, 1, length, depth)

    def floors(self) -> Mapping[str, Mapping[str, float]]:
        any_number = 1 / self.numbers
        by_group = {group: needles for group, (needles, _, _) in self._held_out.items()}
        return {
            "any number at random": dict.fromkeys(by_group, any_number),
            "a number of the text at random": {
                group: 1 / needles + (1 - 1 / needles) * any_number for group, needles in by_group.items()
            },
        }

    def text(self, tokens: Tensor) -> str:
        return " ".join(self.labels(tokens))

    def labels(self, tokens: Tensor) -> list[str]:
        """Return tokens as people read them: `the A1 B3 is 8 .`, and `f7` for filler."""
        names = [f"{side}{half}" for side in "AB" for half in range(self.halves)]
        words = ["the", "is", ".", *names, *map(str, range(self.numbers)), *(f"f{n}" for n in range(self.filler))]
        return [words[token] for token in tokens.tolist()]

    def marks(self, tokens: Tensor) -> Marks:
        """Return the needle that the last question asks for, and the place of its `is`."""
        text = self.text(tokens)
        asked = re.search(r"(the A\d+ B\d+ is)(?: \d+)?$", text)
        if not asked:
            return Marks()
        told = len(text[: text.index(asked[1])].split())
        at = len(text[: asked.end(1)].split()) - 1
        return Marks(range(told, told + NEEDLE), range(at, at + 1))

    @property
    def _held_out(self) -> dict[str, tuple[int, int, int]]:
        """Return needles, length and depth of each group, by its name."""
        every = product(self.held_out_counts, self.held_out_lengths, self.depths)
        return {
            f"{needles} needle{'s' * (needles > 1)}, {length:,} tokens, {depth} %": (needles, length, depth)
            for needles, length, depth in every
        }

    @property
    def _first_number(self) -> int:
        return FIRST + 2 * self.halves

    @property
    def _first_filler(self) -> int:
        return self._first_number + self.numbers

    def _made(
        self, count: int, generator: torch.Generator, needles: int, asked: int, length: int, depth: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return sequences [B, T + 1] and the mask of their answers [B, T].

        With a `depth`, the needle that is asked for has so many percent of the filler before it,
        and at 0 and 100 % all other needles behind or before it.
        """
        start = length + 1 - (NEEDLE * asked - 1)  # of the questions
        tokens = torch.randint(self._first_filler, self.vocabulary, (count, length + 1), generator=generator)
        needles_BNW = self._needles(count, needles, generator)
        places_BN = _places(count, needles, start - NEEDLE * needles, depth, generator)
        tokens.scatter_(1, (places_BN[..., None] + torch.arange(NEEDLE)).flatten(1), needles_BNW.flatten(1))
        chosen_BK = torch.randint(needles, (count, asked), generator=generator)
        if depth is not None:
            chosen_BK.zero_()
        questions_BKW = needles_BNW.gather(1, chosen_BK[..., None].expand(-1, -1, NEEDLE))
        tokens[:, start:] = questions_BKW.flatten(1)[:, :-1]
        scored = torch.zeros(count, length, dtype=torch.bool)
        scored[:, start + NUMBER - 1 :: NEEDLE] = True
        return tokens, scored

    def _needles(self, count: int, needles: int, generator: torch.Generator) -> Tensor:
        """Return needles of different cities [B, N, NEEDLE]."""
        cities_BN = torch.rand(count, self.halves**2, generator=generator).argsort(-1)[:, :needles]
        numbers_BN = torch.randint(self.numbers, (count, needles), generator=generator)
        first_BN, second_BN = cities_BN // self.halves, cities_BN % self.halves
        parts = [
            torch.full_like(cities_BN, THE),
            FIRST + first_BN,
            FIRST + self.halves + second_BN,
            torch.full_like(cities_BN, IS),
            self._first_number + numbers_BN,
            torch.full_like(cities_BN, END),
        ]
        return torch.stack(parts, dim=-1)


def _places(count: int, needles: int, filler: int, depth: int | None, generator: torch.Generator) -> Tensor:
    """Return the first token of each needle [B, N], between so many tokens of filler."""
    gaps_BN = torch.randint(filler + 1, (count, needles), generator=generator)
    ranks_BN = torch.rand(count, needles, generator=generator)  # of those that share a gap
    if depth is not None:
        gaps_BN[:, 0] = round(depth / 100 * filler)
        if depth in OUTERMOST:
            ranks_BN[:, 0] = OUTERMOST[depth]
    order_BN = (gaps_BN + ranks_BN).argsort(-1)
    sorted_BN = gaps_BN.gather(1, order_BN) + NEEDLE * torch.arange(needles)
    return torch.empty_like(gaps_BN).scatter_(1, order_BN, sorted_BN)
