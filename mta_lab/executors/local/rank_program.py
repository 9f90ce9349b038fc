"""The program of a rank, started by a worker with a file descriptor: its end of a pipe.

It imports nothing that takes long before it sees to its own end.
"""

import os
import sys
import threading
from multiprocessing.connection import Connection


def main() -> None:
    """Train the run; then wait to be killed, as the others would miss a rank that ends first."""
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    from mta_lab.executors.local import rank  # noqa: PLC0415  slow: the worker may end meanwhile

    rank.train_one(Connection(int(sys.argv[1])))
    threading.Event().wait()


def _end_with_the_worker() -> None:
    """End this process when its standard input ends, even while it hangs in native code."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
