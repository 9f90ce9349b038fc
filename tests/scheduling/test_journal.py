"""A journal that is not as Optuna writes it: one line that names it and says what to type."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mta_lab.errors import UserError
from mta_lab.scheduling import Study, Trials
from mta_lab.sweep.search import Choices, Range

SPACE: dict[str, Range | Choices] = {
    "rate": Range(0.5, 2.0),
    "queries": Range(1, 12),
    "norm": Choices(("none", "gate")),
}


@pytest.fixture
def searched(journal: Path) -> Path:
    """A journal with a trial that ran to its end."""
    trials = Trials.opened(journal, "table", pytest.fail)
    number, _ = trials.ask(SPACE)
    trials.report(number, 10, 12.0)
    trials.finish(number, 9.0)
    return journal


def changed(journal: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the lines of a journal."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        change(line)
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def said_of(journal: Path) -> str:
    """The one line about a journal, from whoever reads it and from whoever goes on with it."""
    with pytest.raises(UserError) as caught:
        Trials.open_existing(journal, "table", SPACE)
    line = str(caught.value)
    assert re.fullmatch(rf"{journal}: cannot be read \(.+\); .*; type: mv {journal} {journal}\.damaged", line)
    return line


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (["9.0"], "trial 0 of table has the score '9.0'"),
        ([True], "trial 0 of table has the score True"),
        ([float("nan")], "trial 0 of table has the score nan"),
        ([float("-inf")], "trial 0 of table has the score -inf"),
        ([None], "trial 0 of table has the score None"),
        ([], "trial 0 of table has no score"),
        (None, "trial 0 of table has no score"),
        ([9.0, 8.0], "trial 0 of table has no score"),
    ],
)
def test_a_score_that_no_trial_can_have_is_named(values: Any, fault: str, searched: Path) -> None:
    changed(searched, lambda line: line.update(values=values) if "values" in line else None)
    assert fault in said_of(searched)


@pytest.mark.parametrize("value", [0, 13, "two", -1, 10**30])
def test_a_value_that_the_search_cannot_propose_is_named(value: Any, searched: Path) -> None:
    def change(line: dict[str, Any]) -> None:
        if line.get("param_name") == "queries":
            line["param_value_internal"] = value

    changed(searched, change)
    fault = "invalid literal" if value == "two" else "trial 0 of table has other values than its search proposes"
    assert fault in said_of(searched)


@pytest.mark.parametrize("directions", [[], [1, 1]])
def test_a_study_with_no_or_several_directions_is_named(directions: list[int], searched: Path) -> None:
    changed(searched, lambda line: line.update(directions=directions) if "directions" in line else None)
    assert f"table has {len(directions)} directions of better" in said_of(searched)


@pytest.mark.parametrize(
    "text",
    [b"no JSON\n{}\n", b"[]\n", b"5\n", b"{}\n", b'{"op_code": 99}\n', b"\xff\xfe\n{}\n", b"[" * 5000 + b"\n{}\n"],
)
def test_text_that_is_no_journal_is_named(text: bytes, journal: Path) -> None:
    journal.parent.mkdir()
    journal.write_bytes(text)
    said_of(journal)
    with pytest.raises(UserError, match="cannot be read"):
        Study(journal, "table", pytest.fail)


@pytest.mark.parametrize("kind", ["directory", "pipe", "circle of links", "device"])
def test_what_stands_in_a_journals_place_is_named_and_never_waited_for(kind: str, journal: Path) -> None:
    journal.parent.mkdir()
    if kind == "directory":
        journal.mkdir()
    elif kind == "pipe":
        os.mkfifo(journal)
    else:
        journal.symlink_to(journal if kind == "circle of links" else "/dev/zero")
    said_of(journal)
    with pytest.raises(UserError, match="cannot be read"):
        Study(journal, "table", pytest.fail)
    with pytest.raises(UserError, match="cannot be read"):
        Trials.opened(journal, "table", pytest.fail)
