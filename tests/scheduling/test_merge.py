"""Searches of another journal: taken in whole, continued, never mixed; runs play no part."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.scheduling import Study, Taken, Trials, take_searches
from mta_lab.sweep.search import Choices, Range

SPACE: Mapping[str, Range | Choices] = {"rate": Range(1e-3, 1e-1, log=True), "kernel": Choices(([2, 9], [4, 9]))}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other" / "optuna.journal"


def searched(journal: Path, name: str, *scores: float) -> None:
    """Add trials with these scores to a search."""
    trials = Trials.opened(journal, name, pytest.fail)
    for score in scores:
        number, _ = trials.ask(SPACE)
        trials.report(number, 5, 2 * score)
        trials.finish(number, score)


def taken(journal: Path, other: Path, *, replace: bool = False) -> Taken:
    return take_searches(journal, other, pytest.fail, replace=replace)


def best(journal: Path, name: str) -> list[tuple[int, Mapping[str, object], float]]:
    """All trials of a search, the best first; none where it is not there."""
    found = Trials.open_existing(journal, name)
    return [(one.number, one.values, one.score) for one in found.best(9)] if found else []


def test_a_search_that_is_not_here_is_taken_whole(journal: Path, other: Path) -> None:
    searched(other, "theirs", 3.0, 2.0, 4.0)
    searched(journal, "ours", 1.0)
    before = best(journal, "ours")
    assert taken(journal, other) == Taken(added=["theirs"])
    assert best(journal, "theirs") == best(other, "theirs")
    assert [score for *_, score in best(journal, "theirs")] == [2.0, 3.0, 4.0]
    assert best(journal, "ours") == before


def test_taking_again_changes_nothing_and_both_may_go_on(journal: Path, other: Path) -> None:
    searched(other, "theirs", 3.0, 2.0)
    taken(journal, other)
    assert taken(journal, other) == Taken()
    searched(journal, "theirs", 1.0)
    assert taken(journal, other) == Taken(), "ours went on"
    assert len(best(journal, "theirs")) == 3
    assert taken(other, journal) == Taken(added=["theirs"]), "theirs are the first of ours"
    assert best(other, "theirs") == best(journal, "theirs")


def test_two_searches_of_one_name_are_not_mixed(journal: Path, other: Path) -> None:
    searched(journal, "both", 5.0, 6.0)
    searched(other, "both", 1.0)
    ours, theirs = best(journal, "both"), best(other, "both")
    assert taken(journal, other) == Taken(conflicts=["both"])
    assert best(journal, "both") == ours
    assert taken(journal, other, replace=True) == Taken(replaced=["both"])
    assert best(journal, "both") == theirs


def test_a_search_in_which_nothing_ended_stands_in_no_way(journal: Path, other: Path) -> None:
    Trials.opened(journal, "both", pytest.fail).ask(SPACE)
    searched(other, "both", 1.0)
    assert taken(journal, other) == Taken(added=["both"])
    Trials.opened(other, "begun", pytest.fail).ask(SPACE)
    assert taken(journal, other) == Taken()


def test_the_runs_of_a_sweep_are_left_to_their_records(journal: Path, other: Path) -> None:
    runs = Study(other, "table", pytest.fail)
    runs.claim("f" * 16, "mta", 0)
    runs.finish("f" * 16, 3.0)
    assert taken(journal, other) == Taken()
    assert Trials.open_existing(journal, "table") is None


@pytest.mark.parametrize(
    "content", [b'{"op_code": 0}\n', b"[]\n", b"not JSON\n{}\n", b'{"op_code": "x"}\n', b"\xff\n{}\n"]
)
def test_a_damaged_journal_is_named(content: bytes, journal: Path, other: Path) -> None:
    other.parent.mkdir()
    other.write_bytes(content)
    with pytest.raises(UserError, match=r"other/optuna\.journal: cannot be read \(.+; type: mv "):
        taken(journal, other)
    assert not journal.exists()


def test_what_was_being_written_when_it_was_copied_is_left(journal: Path, other: Path) -> None:
    searched(other, "theirs", 3.0)
    with other.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    assert taken(journal, other) == Taken(added=["theirs"])
