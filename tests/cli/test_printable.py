"""Printed text shows all that it holds, in its order, and steers no terminal."""

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.progress import Progress
from rich.table import Table

from mta_lab.cli.printable import SafeConsole, escaping, one_line, printable
from mta_lab.errors import UserError
from tests.cli.conftest import Command

STEERING = {
    "\x1b[2J\x1b[1;1H": r"\x1b[2J\x1b[1;1H",  # clears the screen
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\here": r"\x1b]8;;http://x\x1b\here",
    "\x1b[31mred": r"\x1b[31mred",
    "\x9b2J": r"\x9b2J",
    "9.1\r8.2": r"9.1\r8.2",
    "ab\x08\x08cd": r"ab\x08\x08cd",
    "\x00\x7f": r"\x00\x7f",
    "mta \u202e21.9\u202c": r"mta \u202e21.9\u202c",
    "\u2066a\u2069\u200f\u061c": r"\u2066a\u2069\u200f\u061c",
    "so\u200bft\u200dmax\ufeff\u00ad": r"so\u200bft\u200dmax\ufeff\xad",
    "one\u2028two\u2029": r"one\u2028two\u2029",
    "half \ud83d": r"half \ud83d",
    "\U000e0041": r"\U000e0041",
}
PLAIN = ["Größe π ≤ 3", "кернел", "核", "עברית", "e\u0301", "😀", "[bold]x[/]", ":warning:", "{x}", "100 %"]


class Terminal(io.StringIO):
    """A terminal that keeps what it is sent; its encoding takes no halves of letters."""

    def isatty(self) -> bool:
        return True


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in place of stdout and stderr; a fixture could not, pytest sets both after it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    found = Terminal()
    monkeypatch.setattr(sys, "stdout", found)
    monkeypatch.setattr(sys, "stderr", found)
    return found


@pytest.mark.parametrize(("text", "shown"), STEERING.items(), ids=ascii)
def test_what_would_steer_a_terminal_is_shown_as_its_number(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", [*PLAIN, "two\nlines\tand a tab"])
def test_what_steers_nothing_is_left_alone(text: str) -> None:
    assert printable(text) == text


def test_a_message_is_one_line() -> None:
    assert one_line("no key 'a\nb\t\x85c\u2028'") == r"no key 'a\nb\t\x85c\u2028'"


@given(st.text(st.characters()))
def test_all_that_is_printed_is_printable_and_printable_text_stays(text: str) -> None:
    shown = printable(text)
    assert "".join(shown.split("\n")).replace("\t", "").isprintable()
    assert printable(shown) == shown


def as_text(console: SafeConsole, text: str) -> None:
    console.print(text)


def in_a_table(console: SafeConsole, text: str) -> None:
    table = Table(title=text)
    table.add_column(text, footer=text)
    table.add_row(text)
    console.print(table)


class Counted(dict[str, str]):
    """An environment that counts how often it is read as a whole."""

    reads = 0

    def items(self) -> Any:
        self.reads += 1
        return super().items()


def test_the_environment_is_read_once_however_much_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    console, table = SafeConsole(width=100), Table()
    for number in range(50):
        table.add_row(f"a row of the number {number}")
    monkeypatch.setattr(os, "environ", environment := Counted(os.environ))
    console.print(table)
    assert environment.reads == 1


def test_a_secret_that_was_set_since_the_last_print_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    console = SafeConsole(width=100)
    in_a_table(console, "cheese")
    monkeypatch.setenv("DB_PASSWORD", "cheese")
    assert "cheese" in terminal.getvalue()
    terminal.seek(0)
    terminal.truncate()
    in_a_table(console, "cheese")
    assert "cheese" not in terminal.getvalue()


def beside_a_spinner(console: SafeConsole, text: str) -> None:
    with console.status(text):
        pass


def in_a_live_display(console: SafeConsole, text: str) -> None:
    with Live(text, console=console, auto_refresh=False):
        console.print(text)


def beside_bars(console: SafeConsole, text: str) -> None:
    with Progress(console=console) as bars, escaping():
        bars.add_task("all")
        print(text)
        print(text, file=sys.stderr)


def by_print(console: SafeConsole, text: str) -> None:
    with escaping():
        print(text)
        SafeConsole().print("colours of its own", style="red")
        assert "\x1b[31mcolours of its own\x1b[0m" in console.file.getvalue()  # type: ignore[attr-defined]


WAYS = [as_text, in_a_table, beside_a_spinner, in_a_live_display, beside_bars, by_print]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_terminal_gets_no_controls_but_those_of_the_display(
    way: Callable[[SafeConsole, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output with the text is the output without it, with numbers in place of controls."""
    terminal = in_terminal(monkeypatch)
    for text, shown in STEERING.items():
        terminal.seek(0)
        terminal.truncate()
        way(SafeConsole(width=100), f"<{text}>")
        sent = terminal.getvalue()
        assert f"<{shown}>" in sent
        assert text not in sent.replace("\r\n", "\n")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_terminal_gets_text_as_it_is_and_no_markup(
    way: Callable[[SafeConsole, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = in_terminal(monkeypatch)
    for text in PLAIN:
        way(SafeConsole(width=100), f"<{text}>")
        assert f"<{text}>" in terminal.getvalue()


def test_a_table_with_numbers_in_place_of_letters_keeps_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    in_a_table(SafeConsole(width=60), "\x1b[2J" * 3)
    lines = terminal.getvalue().splitlines()
    assert len({len(line) for line in lines if line.startswith(("│", "└"))}) == 1


@pytest.mark.parametrize("bad", ["\x1b[2J", "a\rb", "\u202eb", "\n\nmta-lab: all is well"])
def test_a_mistake_that_repeats_what_was_given_is_one_printable_line(bad: str, lab: Command) -> None:
    for words in (
        ["report", f"none{bad}"],
        ["report", "kernel_sizes", "--format", bad],
        ["report", "kernel_sizes", f"mo{bad}del.heads=3"],
        ["report", "kernel_sizes", "--scale", bad],
        ["why", "kernel_sizes", bad],
        ["sweep", "kernel_sizes", "--budget", bad],
        ["new", "attention", bad],
        ["params", "--model", bad],
    ):
        complaint = lab(*words).complaint
        assert complaint.isprintable()
        assert len(complaint) > 20


@pytest.mark.parametrize("words", [["report", "--no\x1b[2J"], ["--\u202e\x1b[2J"], ["data", "\x1b[2J\u202e"]])
def test_a_mistake_in_the_grammar_of_a_command_is_printable(words: list[str], lab: Command) -> None:
    outcome = lab(*words)
    assert outcome.status == 2
    assert r"\x1b[2J" in outcome.err
    assert outcome.err.replace("\n", "").isprintable()


def test_the_traceback_of_a_fault_of_ours_is_printable(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault \x1b[2J")

    monkeypatch.setattr("mta_lab.lab.finished.by_sweep", fail)
    outcome = lab("results", "list")
    assert outcome.status == 1
    assert r"RuntimeError: a fault \x1b[2J" in outcome.err


@pytest.mark.parametrize("failure", [ValueError, UserError])
def test_a_command_that_fails_prints_no_secret(
    failure: type[Exception], lab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure(f"cannot connect with password='s3cret' to {sys.argv[0]}")

    monkeypatch.setattr("mta_lab.lab.registry.registered", fail)
    outcome = lab("components")
    assert outcome.status in (1, 2)
    assert "password=***" in outcome.err
    assert "s3cret" not in outcome.err
