"""Keep a library from writing to the terminal: bars, hints, and lines on what it does."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO


@contextmanager
def quiet() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Leave out what the block writes to standard output and error.

    Yields what makes a block within it that writes as if there were no `quiet` around it.
    """
    out, error = sys.stdout, sys.stderr

    @contextmanager
    def aloud() -> Iterator[None]:
        with redirect_stdout(out), redirect_stderr(error):
            yield

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield aloud
