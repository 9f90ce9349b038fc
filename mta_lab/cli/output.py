"""The output of a command on another encoding, a full disk, a closed pipe or no file at all."""

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from mta_lab.cli.printable import escaping
from mta_lab.errors import UserError

CLOSED_PIPE = 141  # the exit status that a shell gives to a command which a closed pipe ended
INTERRUPTED = 130


class OutputLostError(UserError):
    """Nothing more can be printed."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout: cannot be written: {error.strerror}")
        self.status = CLOSED_PIPE if isinstance(error, BrokenPipeError) else 2


class _Guarded:
    """A text stream that loses its end once at most: what is written from then on goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OutputLostError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is still in the buffer goes there, too
        os.close(nowhere)
        self.lost = OutputLostError(error)


class _Stdout(_Guarded):
    """A command ends when nobody takes what it prints."""

    def _lose(self, error: OSError) -> None:
        super()._lose(error)
        assert self.lost
        raise self.lost


@contextmanager
def guarded_output() -> Iterator[None]:
    r"""Guard what a command prints; end it with one line and its own status if stdout is lost.

    What the encoding lacks, and what would steer a terminal, is printed as `\xe9`. A closed pipe is
    said only where it interrupted a launch.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stdout = _Stdout(sys.stdout)
    sys.stdout, sys.stderr = cast(TextIO, stdout), cast(TextIO, _Guarded(sys.stderr))
    status: int | str | None = 0
    try:
        try:
            with escaping():
                try:
                    yield
                except OutputLostError:
                    raise
                except Exception:  # a fault of ours: its traceback goes through the same door
                    traceback.print_exc()
                    status = 1
        except SystemExit as end:
            status = end.code
        stdout.flush()
    except OutputLostError:
        pass
    finally:
        if stdout.lost and (stdout.lost.status != CLOSED_PIPE or status == INTERRUPTED):
            print(f"mta-lab: {stdout.lost}", file=sys.stderr)
        sys.stdout, sys.stderr = before
    sys.exit(stdout.lost.status if stdout.lost else status)


def _open_closed() -> None:
    """Open the standard streams that a shell closed (`>&-`).

    Otherwise, the next file that is opened would take their place, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            file = os.open(os.devnull, os.O_RDWR)
            if file == number:
                os.set_inheritable(number, True)  # workers need them too
            else:
                os.dup2(file, number)
                os.close(file)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
