"""The command line: the one place that knows every part.

Heavy imports wait until a command needs them.
"""

import gc
import os
import sys

from mta_lab.children import safe_path


def _let_idle_threads_wait() -> None:
    """Let idle threads spin for a moment and then sleep, unless the user set how they wait.

    Must run before torch and NumPy are loaded. NumPy's spin for 2^26 cycles after each product:
    0.2 of 6 s of processor time in a report of 10,000 runs. 2^4 cycles are the fewest.

    Threads that spin for ever starve others on a busy machine (see `mta_lab.executors.local.pool`).
    Without spinning, a run with two threads takes 1.7 times as long on a quiet one. With 3,000
    turns it is as fast as with endless ones.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _collect_rarely() -> None:
    """Let Python look for cycles of garbage after 100,000 new objects instead of 700.

    A command leaves few cycles, and the table of 10,000 runs is a million objects that all stay:
    looking at them again and again would be a fifth of its time.
    """
    gc.set_threshold(100_000)


def main() -> None:
    """Run the `mta-lab` command; a user's mistake is one line on stderr and exit status 2."""
    if sys.argv[1:2] != ["bench"]:  # which measures processes as they come, or as workers are
        _let_idle_threads_wait()
        _collect_rarely()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody asked for reports to its makers
    with safe_path():
        from mta_lab.cli.app import run  # noqa: PLC0415  what is imported before would be looked for in this folder

        run()
