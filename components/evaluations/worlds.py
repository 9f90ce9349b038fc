"""Small worlds and questions on them, by the rules of bAbI's tasks 1 to 5 (1502.05698).

Words and sentences are our own. In a world, people go from place to place and take, leave and give
things; where everybody and everything is at first, nobody says. A reader is asked only what follows
from the statements so far. Every statement is performed: no story contradicts itself.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

PEOPLE = ("Anna", "Boris", "Clara", "David")
PLACES = ("attic", "cellar", "porch", "library", "garage", "orchard")
THINGS = ("lamp", "violin", "basket")
LABELS = {1: PLACES, 2: PLACES, 3: PLACES, 4: PLACES, 5: (*PEOPLE, *THINGS)}
"""all answers that a task has"""
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
SAYINGS = {
    "go": ("strolled to the", "hurried to the", "headed for the", "came to the", "wandered off to the"),
    "get": ("lifted the", "collected the", "fetched the", "snatched up the"),
    "drop": ("set down the", "abandoned the", "let go of the", "laid aside the"),
    "give": ("offered the", "lent the", "presented the"),
}
KINDS = {1: ("go",), 2: ("go", "get", "drop"), 3: ("go", "get", "drop"), 5: ("go", "get", "give")}
QUESTIONS, LONGEST = 5, 200  # of a story: questions, and statements after which it ends
TRIES = 100  # at arguments of an action, before another kind is drawn


class Fact(NamedTuple):
    """A statement about a world: who does what to which place or thing, and for whom."""

    kind: str
    who: str
    what: str
    whom: str = ""


class Told(NamedTuple):
    """A question after some statements, which tell its answer."""

    statements: tuple[str, ...]
    question: str
    answer: str
    support: tuple[int, ...]
    """indices of the statements that it takes to answer"""


def story(task: int, random: Random) -> list[Told]:
    """Return the questions of a story, each with all statements before it; there may be none."""
    return [_on_a_line(random)] if task == 4 else [*_Story(task, random).questions()]


class _World:
    """The truth: where people are, where things lie, and who holds what."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.place = {who: random.choice(PLACES) for who in PEOPLE}
        self.lies = {thing: random.choice(PLACES) for thing in THINGS}
        self.holder: dict[str, str] = {}

    def next(self, kinds: Sequence[str], refuse: Callable[[Fact], bool]) -> Fact:
        """Return something that can happen and is not refused."""
        while True:
            kind = self._random.choice(kinds)
            for _ in range(TRIES):
                fact = self._drawn(kind)
                if self._can(fact) and not refuse(fact):
                    return fact

    def perform(self, fact: Fact) -> None:
        """Let it happen."""
        match fact.kind:
            case "go":
                self.place[fact.who] = fact.what
            case "get":
                self.holder[fact.what] = fact.who
            case "drop":
                self.lies[fact.what] = self.place[self.holder.pop(fact.what)]
            case "give":
                self.holder[fact.what] = fact.whom

    def _drawn(self, kind: str) -> Fact:
        who = self._random.choice(PEOPLE)
        what = self._random.choice(PLACES if kind == "go" else THINGS)
        return Fact(kind, who, what, self._random.choice(PEOPLE) if kind == "give" else "")

    def _can(self, fact: Fact) -> bool:
        here, holder = self.place[fact.who], self.holder.get(fact.what)
        match fact.kind:
            case "go":
                return fact.what != here
            case "get":
                return holder is None and self.lies[fact.what] == here
            case "drop":
                return holder == fact.who
        return holder == fact.who != fact.whom and self.place[fact.whom] == here


class Known(NamedTuple):
    """A place, with the statements that say so."""

    place: str
    support: frozenset[int]


class Reader:
    """All that the statements so far imply of places, where nobody gives anything away."""

    def __init__(self) -> None:
        self.people: dict[str, Known] = {}
        self.holder: dict[str, tuple[str, int]] = {}
        self._lies: dict[str, Known] = {}
        self.course: dict[str, list[Known]] = {thing: [] for thing in THINGS}
        """the known places of each thing, each other than the one before"""

    def where(self, thing: str) -> Known | None:
        """Return where a thing is, if that is known."""
        if thing not in self.holder:
            return self._lies.get(thing)
        who, since = self.holder[thing]
        known = self.people.get(who)
        return Known(known.place, known.support | {since}) if known else None

    def hear(self, number: int, fact: Fact) -> None:
        """Take in a statement."""
        match fact.kind:
            case "go":
                self.people[fact.who] = Known(fact.what, frozenset({number}))
            case "get":
                self.holder[fact.what] = fact.who, number
                self._lies.pop(fact.what, None)
            case "drop":
                known = self.where(fact.what)
                self.holder.pop(fact.what, None)
                if known:
                    self._lies[fact.what] = Known(known.place, known.support | {number})
        for thing, course in self.course.items():
            known = self.where(thing)
            if known and (not course or course[-1].place != known.place):
                course.append(known)


class _Story:
    """A story of tasks 1, 2, 3 and 5, told statement by statement."""

    def __init__(self, task: int, random: Random) -> None:
        self._task, self._random = task, random
        self._world, self._reader = _World(random), Reader()
        self._told: list[str] = []

    def questions(self) -> Iterator[Told]:
        """Yield the questions of the story."""
        asked = since = 0
        while asked < QUESTIONS and len(self._told) < LONGEST:
            fact = self._tell()
            since += 1
            found = self._ask(fact, since)
            if found:
                yield found
                asked, since = asked + 1, 0

    def _tell(self, refuse: Callable[[Fact], bool] = lambda fact: False) -> Fact:
        fact = self._world.next(KINDS[self._task], refuse)
        self._world.perform(fact)
        self._reader.hear(len(self._told), fact)
        self._told.append(said(fact, self._random))
        return fact

    def _ask(self, last: Fact, since: int) -> Told | None:
        """Return a question after the `since`-th statement since the one before, if it is time."""
        random, reader = self._random, self._reader
        if self._task == 1:
            who = random.choice(sorted(reader.people))
            return self._asked(f"In which place is {who}?", *reader.people[who]) if since == 2 else None
        if self._task == 5:
            return self._ask_gift(last) if last.kind == "give" and since >= 2 else None
        if since < 3 or random.random() < 0.5:
            return None
        if self._task == 2:
            held = [(thing, known) for thing in THINGS if thing in reader.holder and (known := reader.where(thing))]
            if not held:
                return None
            thing, known = random.choice(held)
            return self._asked(f"In which place is the {thing}?", *known)
        moved = [(thing, course[-2], course[-1]) for thing, course in reader.course.items() if len(course) > 1]
        three = [one for one in moved if len(one[1].support | one[2].support) == 3]
        if not three:
            return None
        thing, before, now = random.choice(three)
        question = f"In which place was the {thing} before it came to the {now.place}?"
        return self._asked(question, before.place, before.support | now.support)

    def _ask_gift(self, gift: Fact) -> Told:
        """Return a question on a gift, after some statements that leave its answer as it is."""
        number = len(self._told) - 1
        _, giver, thing, receiver = gift

        def blurs(fact: Fact) -> bool:
            return fact.what == thing or (fact.kind == "give" and {fact.who, fact.whom} == {giver, receiver})

        for _ in range(self._random.randrange(6)):
            self._tell(blurs)
        question, answer = self._random.choice(
            (
                (f"Which thing did {giver} give to {receiver}?", thing),
                (f"To whom did {giver} give the {thing}?", receiver),
                (f"Who was given the {thing}?", receiver),
                (f"Who gave the {thing} away?", giver),
            )
        )
        return self._asked(question, answer, frozenset({number}))

    def _asked(self, question: str, answer: str, support: frozenset[int]) -> Told:
        return Told(tuple(self._told), question, answer, tuple(sorted(support)))


def said(fact: Fact, random: Random) -> str:
    """Return a fact as a sentence, by one of its sayings."""
    to = f" to {fact.whom}" if fact.whom else ""
    return f"{fact.who} {random.choice(SAYINGS[fact.kind])} {fact.what}{to}."


def _on_a_line(random: Random) -> Told:
    """Return a question of task 4: three places on a line, and two statements, in either order."""
    first, middle, last = random.sample(PLACES, 3)
    onward = random.choice(tuple(OPPOSITE))  # the middle one lies there of the first, the last of it
    told = [(_lies(middle, onward, first, random), first), (_lies(last, onward, middle, random), last)]
    random.shuffle(told)
    answer, way = random.choice(((last, onward), (first, OPPOSITE[onward])))
    question = random.choice(
        (f"Which place lies {way} of the {middle}?", f"The {middle} lies {OPPOSITE[way]} of which place?")
    )
    (support,) = [number for number, (_, outer) in enumerate(told) if outer == answer]
    return Told(tuple(text for text, _ in told), question, answer, (support,))


def _lies(one: str, way: str, other: str, random: Random) -> str:
    """Return the statement that one place lies `way` of another, from either end."""
    if random.random() < 0.5:
        one, way, other = other, OPPOSITE[way], one
    return f"The {one} lies {way} of the {other}."


def label_words() -> frozenset[str]:
    """Return all labels in lower case: words that no text around a story may have."""
    return frozenset(label.lower() for labels in LABELS.values() for label in labels)
