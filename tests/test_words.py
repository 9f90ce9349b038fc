"""Numbers in sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.words import counted, counted_are, duration, listed, named, parse_duration
from tests.test_architecture import MAY_IMPORT

PACKAGE = Path(__file__).parents[1] / "mta_lab"


@pytest.mark.parametrize(("number", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1024, "1,024 runs")])
def test_one_of_a_thing_is_singular(number: int, words: str) -> None:
    assert counted(number, "run") == words
    assert counted_are(number, "run") == f"{words} {'is' if number == 1 else 'are'}"


def test_names_with_a_comma_are_told_apart() -> None:
    assert named(["mta", "talking heads"]) == "mta, talking heads"
    assert named(["mta", "mta, longer"]) == "'mta', 'mta, longer'"


TIMES = {0.04: "0.04 s", 2: "2 s", 9.94: "9.9 s", 9.96: "10 s", 42: "42 s", 99.4: "99 s", 99.6: "1.7 min",
         450: "7.5 min",
         11520: "3.2 h", 172_000: "47.8 h", 345_600: "4.0 days"}  # fmt: skip


@pytest.mark.parametrize("seconds", TIMES)
def test_a_time_has_the_unit_that_suits_its_length(seconds: float) -> None:
    assert duration(seconds) == TIMES[seconds]


def test_words_are_listed_as_a_sentence_lists_them() -> None:
    assert [listed(["3", "6", "12"][:count]) for count in range(4)] == ["", "3", "3 and 6", "3, 6 and 12"]


def test_no_other_place_formats_a_duration() -> None:
    """A measured time is written by `duration`; limits in capitals stay as they are."""
    found = {(file.name, value) for file, value, after in _numbers_before_words() if re.match(r" (s|min|h)\b", after)}
    assert {(name, value) for name, value in found if not value.isupper() and name != "words.py"} == set()


NOUNS = "row|run|seed|trial|attempt|file|sign|text|thread|sweep|worker"
ROOMS = {"cli", *(room for room, allowed in MAY_IMPORT.items() if "words" in allowed)}


def test_no_other_place_writes_a_plural_behind_a_number() -> None:
    """`counted` counts things, so that one is singular; constants and lists of numbers are free."""
    plural = re.compile(rf" (?:[a-z]+ )?(?:{NOUNS})s\b(?!:)")
    found = {
        (file.name, value, after)
        for file, value, after in _numbers_before_words()
        if file.relative_to(PACKAGE).parts[0] in ROOMS
        and plural.match(after)
        and not re.search("[A-Z]{2}|join|listed", value)
    }
    assert found == set()


def _numbers_before_words() -> Iterator[tuple[Path, str, str]]:
    """Each `{value} words` of the package's f-strings: file, value, and what stands behind it."""
    for file in PACKAGE.rglob("*.py"):
        for text in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.JoinedStr)):
            for value, after in zip(text.values, text.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                    yield file, ast.unparse(value.value), str(after.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45m", 2700), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("1h0m5s", 3605)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["", "45", "m", "0m", "-5m", "5m1h", "an hour"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--trial-timeout: got .*45m"):
        parse_duration(text, "--trial-timeout")
