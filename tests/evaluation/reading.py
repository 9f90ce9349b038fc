"""A second solver of the worlds: it reads the sentences alone, the newest first.

It shares no code with the generator, and no knowledge but the sentences that there are.
"""

import re
from collections.abc import Iterator, Sequence

GO = re.compile(r"^(\w+) (?:strolled|hurried|headed|came|wandered off) (?:to|for) the (\w+)\.$")
GET = re.compile(r"^(\w+) (?:lifted|collected|fetched|snatched up) the (\w+)\.$")
DROP = re.compile(r"^(\w+) (?:set down|abandoned|let go of|laid aside) the (\w+)\.$")
GIVE = re.compile(r"^(\w+) (?:offered|lent|presented) the (\w+) to (\w+)\.$")
LIES = re.compile(r"^The (\w+) lies (\w+) of the (\w+)\.$")
TURNED = {"north": "south", "south": "north", "east": "west", "west": "east"}


def solved(statements: Sequence[str], question: str) -> str | None:
    """Return the answer that the statements give, or None."""
    newest = [*reversed(statements)]
    for pattern, solve in SOLVERS.items():
        if match := re.fullmatch(pattern, question):
            return next(solve(newest, *match.groups()), None)
    raise AssertionError(f"no such question: {question}")


def person(newest: Sequence[str], who: str) -> Iterator[str]:
    yield from (match[2] for line in newest if (match := GO.match(line)) and match[1] == who)


def thing(newest: Sequence[str], what: str, skip: int = 0) -> Iterator[str]:
    """Yield where a thing is after all statements but the newest `skip`."""
    for place, line in enumerate(newest[skip:], start=skip):
        if (match := GET.match(line)) and match[2] == what:
            yield from person(newest[skip:], match[1])
            return
        if (match := DROP.match(line)) and match[2] == what:
            yield from person(newest[place:], match[1])
            return


def before(newest: Sequence[str], what: str, place: str) -> Iterator[str]:
    """Yield the place of a thing before it came, last of all, to where it is."""
    course = [next(thing(newest, what, skip), None) for skip in range(len(newest))]
    known = [one for one in course if one]
    assert known[0] == place, "it is asked about where the thing is now"
    yield from (one for one in known if one != place)


def neighbour(newest: Sequence[str], way: str, middle: str) -> Iterator[str]:
    for line in newest:
        match = LIES.match(line)
        assert match
        one, towards, other = match.groups()
        if (towards, other) == (way, middle):
            yield one
        if (TURNED[towards], one) == (way, middle):
            yield other


def gifts(newest: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    yield from ((match[1], match[2], match[3]) for line in newest if (match := GIVE.match(line)))


SOLVERS = {
    r"In which place is (\w+)\?": person,
    r"In which place is the (\w+)\?": thing,
    r"In which place was the (\w+) before it came to the (\w+)\?": before,
    r"Which place lies (\w+) of the (\w+)\?": neighbour,
    r"The (\w+) lies (\w+) of which place\?": lambda newest, middle, way: neighbour(newest, TURNED[way], middle),
    r"Which thing did (\w+) give to (\w+)\?": lambda newest, giver, receiver: (
        what for one, what, other in gifts(newest) if (one, other) == (giver, receiver)
    ),
    r"To whom did (\w+) give the (\w+)\?": lambda newest, giver, what: (
        other for one, given, other in gifts(newest) if (one, given) == (giver, what)
    ),
    r"Who was given the (\w+)\?": lambda newest, what: (other for _, given, other in gifts(newest) if given == what),
    r"Who gave the (\w+) away\?": lambda newest, what: (one for one, given, _ in gifts(newest) if given == what),
}
