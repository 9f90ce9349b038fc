"""Find out how a process died, and whether the kernel's OOM killer took it.

Its log is for root; its counts are for everybody.
"""

import re
import signal
import time
from collections import deque
from pathlib import Path

from mta_lab.results.failures import Kind

WINDOW = 10.0  # seconds between a kill and the end of the process that were ever seen: large ones take a while to go
CGROUPS, MACHINE = Path("/sys/fs/cgroup"), Path("/proc/vmstat")


class OomKills:
    """A count of processes that were killed for memory, and what it was a moment ago."""

    def __init__(self, counter: Path) -> None:
        self._counter = counter
        self._past = deque([(time.monotonic(), self._count())])

    def look(self) -> None:
        """Note the count; to be called now and then."""
        now = time.monotonic()
        if now - self._past[-1][0] > 1.0:
            self._past.append((now, self._count()))
        while len(self._past) > 1 and self._past[1][0] < now - WINDOW:
            self._past.popleft()

    def grew(self) -> bool:
        """Return whether a process was just killed for memory; False where that cannot be known."""
        return self._count() > self._past[0][1]

    def _count(self) -> int:
        try:
            found = re.search(r"^oom_kill (\d+)$", self._counter.read_text(), re.MULTILINE)
        except OSError:
            found = None
        return int(found[1]) if found else 0


def oom_counter() -> Path:
    """Return the file that counts processes killed for memory.

    It is that of this process's own control group, which its workers share, or else the whole
    machine's.
    """
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        files = {"": f"{path}/memory.events", "memory": f"memory/{path}/memory.oom_control"}  # cgroups v2, v1
        if controllers in files and (counter := CGROUPS / files[controllers].strip("/")).exists():
            return counter
    return MACHINE


def death(code: int, kills: OomKills) -> tuple[Kind, str]:
    """Return what the end of a process counts as, and how it ended: its exit code, for people."""
    if code == -signal.SIGKILL and kills.grew():
        return "out_of_memory", f"{_how(code)}, by the kernel: no memory was left"
    return "killed", _how(code)


def _how(code: int) -> str:
    """Return an exit code as Python has it, for people."""
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in signal.Signals}  # real-time signals have none
    return f"signal {names.get(-code, -code)}"
