"""Needles in held-out text (2504.00927, section 4.4, Figures 3 and 8).

Each needle is a sentence of its own, `The magic number of Oslo is 8.`; one of several is asked for
by its own words: `The magic number of Oslo is`. The paper prints this sentence, the counts, five
depths, shuffled needles and 500 samples; our own choices are that one needle of each text is asked
for, that numbers are 1 to 9, and that the other needles stand at random places.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from statistics import multimode
from typing import ClassVar, NamedTuple

from components.evaluations.questions import Answer, Asked, Exercise, Material, Question, TextEvaluation
from components.evaluations.scattering import Filler, at_gaps
from components.metrics import Metric
from components.registry import ComponentError, register

USUAL = ("book", "commoncrawl", "wikipedia")
CITIES = (
    *("Oslo", "Lima", "Cairo", "Seoul", "Paris", "Lagos", "Dublin", "Havana", "Prague", "Athens", "Vienna", "Lisbon"),
    *("Nairobi", "Helsinki", "Budapest", "Santiago", "Bangkok", "Toronto", "Chicago", "Seattle", "Montreal", "Riga"),
    *("Casablanca", "Copenhagen", "Stockholm", "Melbourne", "Jakarta", "Hanoi", "Tunis", "Warsaw", "Zurich", "Milan"),
    *(
        "San Francisco",
        "Buenos Aires",
        "Cape Town",
        "New Delhi",
        "Mexico City",
        "Hong Kong",
        "Kuala Lumpur",
        "Tel Aviv",
    ),
)
AVOIDED = frozenset({"magic"})
"""no sentence around the needles has it"""
SPARE = 4  # tokens, for the seams between texts that are counted apart

FOUND = Metric(name="needle_accuracy", estimator="proportions", higher_is_better=True, most=1.0)


@register("evaluations", "needles")
class Needles(TextEvaluation):
    """The number in one of several needles: whether greedy decoding writes it, and no more digits.

    The needle that is asked for stands at each depth in turn, the others anywhere.
    """

    metric: ClassVar[Metric] = FOUND

    counts: tuple[int, ...] = (2, 4, 6, 8, 10)
    """needles in a text"""
    depths: tuple[int, ...] = (0, 25, 50, 75, 100)
    """percent of the text before the needle that is asked for"""
    contexts: tuple[int, ...] = ()
    """tokens of a whole question, as many as the text around fills; empty: `context`"""
    largest: int = 9
    """numbers are 1 to this"""
    samples: int = 500
    """questions of each count, depth and context"""

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"counts": (1, len(CITIES)), "depths": (0, 100), "contexts": (1, 1 << 20)}
        for name, (least, most) in limits.items():
            given: Sequence[int] = getattr(self, name)
            wrong = [number for number in given if not least <= number <= most]
            if wrong or len({*given}) < len(given) or (not given and name != "contexts"):
                allowed = f"numbers from {least} to {most}, each once"
                raise ComponentError(f"{name}: got {list(given)}, allowed: {allowed}")
        for name, least in (("samples", 1), ("largest", 2)):
            if getattr(self, name) < least:
                raise ComponentError(f"{name}: got {getattr(self, name)}, allowed: {least} or more")

    def ask(self, material: Material) -> Asked:
        contexts = self.contexts or (material.context,)
        if too_long := [one for one in contexts if one > material.context]:
            said = f"got {too_long[0]}, allowed: at most {material.context}; context={too_long[0]} allows it"
            raise ComponentError(f"contexts: {said}")
        filler = Filler(material.of(self.domains, USUAL).values(), material, AVOIDED)
        questions: list[Question] = []
        notes: list[str] = []
        for context in contexts:
            for count in self.counts:
                room = context - self._needed(count, material)
                if room < 0:
                    notes.append(f"{_needles(count)} and a question need {context - room} tokens, not {context}")
                    continue
                for depth in self.depths:
                    at = f", {context:,} tokens" if self.contexts else ""
                    group = f"{_needles(count)}{at}, {depth} %"
                    questions += self._group(group, count, depth, room, filler)
        if not questions:
            raise ComponentError(f"contexts: {notes[0]}; fewer `counts` or a longer `context` are possible")
        return Asked(questions, notes)

    def exercises(self, material: Material, asked: int) -> Callable[[Random], Exercise]:
        """Return what draws texts with needles, of which several are asked for.

        These are drawn with replacement: otherwise the number that was asked last would never be
        the answer.
        """
        filler = Filler(material.of(self.domains, USUAL).values(), material, AVOIDED)
        more = max(material.tokens([f".{_needle(city, self.largest)}" for city in CITIES]))
        rooms = [
            (count, room)
            for context in self.contexts or (material.context,)
            for count in self.counts
            if context <= material.context
            and (room := context - self._needed(count, material) - (min(asked, count) - 1) * more) >= 0
        ]
        if not rooms:
            said = f"no text of {material.context} tokens holds {_needles(min(self.counts))} and its questions"
            raise ComponentError(f"counts: {said}; fewer `counts` or `asked`, or a longer context, are possible")

        def exercise(random: Random) -> Exercise:
            count, room = random.choice(rooms)
            told = _told(count, random.randint(0, 100), self.largest, filler, room, random)
            cities = random.choices(range(count), k=min(asked, count))
            starts = [told.text, *["."] * (len(cities) - 1)]
            return [
                (f"{start} {_question_on(told.cities[city])}", f" {told.numbers[city]}")
                for start, city in zip(starts, cities, strict=True)
            ]

        return exercise

    def measure(self, question: Question, answers: Sequence[Answer]) -> Mapping[str, float]:
        (answer,) = answers
        return {FOUND.name: float(answer.written)}

    def _needed(self, count: int, material: Material) -> int:
        """Return the most tokens that as many needles, a question and its answer take."""
        cities = sorted(material.tokens([_needle(city, self.largest) for city in CITIES]))
        asked = max(material.tokens([_question_on(city) for city in CITIES]))
        return sum(cities[-count:]) + asked + max(material.tokens([f" {self.largest}"])) + SPARE

    def _group(self, group: str, count: int, depth: int, room: int, filler: Filler) -> Iterator[Question]:
        random = Random(f"{self.seed} {group}")
        for _ in range(self.samples):
            told = _told(count, depth, self.largest, filler, room, random)
            right, commonest = told.numbers[0], multimode(told.numbers)
            yield Question(
                group=group,
                prompt=f"{told.text} {_question_on(told.cities[0])}",
                answers=(f" {right}",),
                guesses={
                    "any number at random": 1 / self.largest,
                    "a number of the text at random": told.numbers.count(right) / count,
                    "its commonest number": (right in commonest) / len(commonest),
                    "its last number": float(told.last == right),
                },
            )


class _Told(NamedTuple):
    """A text with needles."""

    text: str
    cities: Sequence[str]
    numbers: Sequence[int]
    """of the cities"""
    last: int
    """the number that stands last in the text"""


def _told(count: int, depth: int, largest: int, filler: Filler, room: int, random: Random) -> _Told:
    """Return a text in which the first needle stands at a depth, the others anywhere."""
    cities = random.sample(CITIES, count)
    numbers = [random.randint(1, largest) for _ in cities]
    sentences = filler.draw(room, random) if room else []
    places = placed(depth, count, len(sentences), random)
    needles = [_needle(city, number) for city, number in zip(cities, numbers, strict=True)]
    order = sorted(range(count), key=lambda needle: places[needle])
    text = at_gaps([(places[needle][0], needles[needle]) for needle in order], sentences)
    return _Told(text, cities, numbers, numbers[order[-1]])


def placed(depth: int, count: int, sentences: int, random: Random) -> list[tuple[int, float]]:
    """Return where each needle stands: a gap between sentences, and its rank within the gap.

    The first needle stands at `depth` percent of the gaps, before all others at 0 %, behind them at
    100 %. The others draw theirs.
    """
    asked = round(depth / 100 * sentences)
    rank = {0: -1.0, 100: 2.0}.get(depth, random.random())
    return [(asked, rank), *((random.randint(0, sentences), random.random()) for _ in range(count - 1))]


def _needles(count: int) -> str:
    return f"{count} needle{'s' * (count > 1)}"


def _needle(city: str, number: int) -> str:
    return f"{_question_on(city)} {number}."


def _question_on(city: str) -> str:
    return f"The magic number of {city} is"
