"""Sentences of real text around a few that matter, as BabiLong scatters facts (2406.10149)."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from random import Random

from components.evaluations.passages import sentences, words
from components.evaluations.questions import Material
from components.registry import ComponentError

SHORTEST = 4  # words of a sentence


class Filler:
    """The sentences of held-out documents, one after the other, with their numbers of tokens.

    A document's first and last sentence are left out, and sentences with a word to avoid.
    """

    def __init__(self, documents: Iterable[Sequence[str]], material: Material, avoid: frozenset[str]) -> None:
        inner = [line for some in documents for document in some for line in [*sentences(document)][1:-1]]
        self._sentences = [line for line in inner if len(found := words(line)) >= SHORTEST and not avoid & {*found}]
        self._tokens = material.tokens
        self._sizes = material.tokens([f" {line}" for line in self._sentences])

    def draw(self, room: int, random: Random) -> list[str]:
        """Return sentences that follow each other, of `room` tokens; the last is cut to fit.

        Raises ComponentError where the text has no sentence.
        """
        if not self._sentences:
            raise ComponentError("the held-out text has no sentence to stand around the others")
        found: list[str] = []
        place = random.randrange(len(self._sentences))
        while room > 0:
            if self._sizes[place] > room:
                return [*found, *filter(None, [self._cut(self._sentences[place], room)])]
            found.append(self._sentences[place])
            room -= self._sizes[place]
            place = (place + 1) % len(self._sentences)
        return found

    def _cut(self, sentence: str, room: int) -> str:
        """Return as many words of a sentence as have at most `room` tokens."""
        parts = sentence.split()
        starts = [" ".join(parts[:count]) for count in range(1, len(parts) + 1)]
        fitting = bisect_right(self._tokens([f" {start}" for start in starts]), room)
        return starts[fitting - 1] if fitting else ""


def scattered(facts: Sequence[str], filler: Sequence[str], random: Random) -> str:
    """Return a text in which the facts stand between sentences of the filler, in their order.

    Each fact draws a gap, and several may draw the same one.
    """
    gaps = sorted(random.choices(range(len(filler) + 1), k=len(facts)))
    return at_gaps(list(zip(gaps, facts, strict=True)), filler)


def at_gaps(placed: Sequence[tuple[int, str]], filler: Sequence[str]) -> str:
    """Return the filler with sentences in its gaps, given in order; gap 0 is before all of it."""
    found: list[str] = []
    rest = [*placed]
    for gap in range(len(filler) + 1):
        while rest and rest[0][0] == gap:
            found.append(rest.pop(0)[1])
        found += filler[gap : gap + 1]
    return " ".join(found)
