"""The orders to a run under way."""

import signal
from multiprocessing.connection import Connection

from mta_lab.executors.base import RunRequest
from mta_lab.executors.local.messages import Message, Stop


class Orders:
    """The orders to the current run: by the launch, by SIGTERM, or by the launch being gone.

    SIGTERM is blocked and looked for, as Lightning sets a handler of its own; once the run is kept
    and that is said, it ends the process.
    """

    def __init__(self, connection: "Connection[Message, RunRequest | Stop]") -> None:
        self._connection = connection
        self._last: RunRequest | Stop | None = None

    def now(self) -> RunRequest | Stop | None:
        """Return the last one, if there is any."""
        try:
            while self._connection.poll():
                self._last = self._connection.recv()
        except (EOFError, OSError):
            return Stop(keep=True)
        return Stop(keep=True) if signal.SIGTERM in signal.sigpending() else self._last
