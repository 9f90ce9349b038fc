"""The places where slots train: what each says of itself, and which of them a launch takes."""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from mta_lab.atomic import write_whole
from mta_lab.workspace import LAUNCH_NONCE

FAILURES = 3  # of a host, with no progress of a run between them, after which it is left out
NEAR = 90.0  # seconds before the end of a place's time in which it takes no run: a start and a checkpoint take as long
KERNELS, NONE = "kernels", "none"  # the compiled ones among versions, and a version of what is not there
JOB_END = "SLURM_JOB_END_TIME"  # in seconds since 1970, in the environment of Slurm's jobs


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place where a slot trains, as the worker there found it when it became ready."""

    host: str
    """the machine's name in its network"""
    machine: str
    """the GPU's name, or the processor's with the cores that it may use"""
    device: str = ""
    """of a GPU, its name in CUDA_VISIBLE_DEVICES; empty on a CPU"""
    threads: int
    """that torch computes with"""
    versions: Mapping[str, str]
    """of all that decides about results: see `installed`"""
    ends: float | None = None
    """when its time is over, in seconds since 1970; None where nothing says so"""
    nonce: str = ""
    """what it read in the launch's directory; empty where it found nothing"""
    trouble: str = ""
    """a line on a GPU there that runs do not use; empty where there is none"""

    @property
    def computes_on(self) -> str:
        """Return what computes there, in words: `NVIDIA H100 (3)`, or `CPU`."""
        return f"{self.machine} ({self.device})" if self.device else "CPU"

    @property
    def advice(self) -> str:
        """Return a line on what could be better there, or nothing; runs train all the same."""
        if self.trouble:
            return f"host {self.host}: {self.trouble}"
        if self.device or self.versions.get(KERNELS) != NONE:
            return ""
        return f"host {self.host} has no compiled kernels, so its runs are slower; type there: mta-lab build-kernel"

    @property
    def near_its_end(self) -> bool:
        """Return whether a run that it took now would hardly come to a checkpoint."""
        return self.ends is not None and self.ends - time.time() < NEAR


def host() -> str:
    """Return this machine's name in its network."""
    return socket.gethostname()


def end_of_time() -> float | None:
    """Return when the time of this process's job is over, as its scheduler says."""
    try:
        return float(os.environ[JOB_END])
    except (KeyError, ValueError):
        return None


def write_nonce(directory: Path) -> str:
    """Write a number that was never used into a launch's directory, and return it."""
    nonce = token_hex(8)
    write_whole(directory / LAUNCH_NONCE, nonce)
    return nonce


def read_nonce(directory: Path) -> str:
    """Return what a launch has written into its directory, as it is seen here; empty if nothing."""
    try:
        return (directory / LAUNCH_NONCE).read_text(encoding="utf-8", errors="replace")[:16]
    except OSError:
        return ""


def refusal(place: Place, versions: Mapping[str, str], directory: Path, nonce: str) -> str:
    """Return in one line why a place may not train for a launch, or nothing.

    It must see the `nonce` in the launch's `directory`, and have its `versions`. Commits may differ
    where the sources do not, and compiled kernels where a GPU trains.
    """
    if place.nonce != nonce:
        shared = "results and prepared text lie in one directory that every host mounts at the same path"
        return f"host {place.host} does not see {directory}: {shared}"
    same = place.versions.get("sources") == versions["sources"]
    free = {"commit"} if same else set()
    free |= {KERNELS} if place.device else set()
    for name, ours in versions.items():
        if (theirs := place.versions.get(name, NONE)) != ours and name not in free:
            shared = "install the same there, or start from a folder that all hosts share"
            remedy = _remedy(ours, theirs) if name == KERNELS else shared
            return f"host {place.host} has {name} {theirs}, where the launch has {ours}: {remedy}"
    return ""


def _remedy(ours: str, theirs: str) -> str:
    """Return what to do about other compiled kernels, by which results have other last digits."""
    if NONE in (ours, theirs):
        return f"type {'here' if ours == NONE else 'there'}: mta-lab build-kernel"
    return "its processor is of another kind; start the launch on a host of that kind"


class Gate:
    """Lets those places train that compute what the launch would, and write where it reads.

    A host whose places fail again and again, before a run there has come any further, is left out.
    """

    def __init__(self, directory: Path, versions: Mapping[str, str], say: Callable[[str], None]) -> None:
        """Begin; places have `versions` and see `directory`; `say` is told what is not taken."""
        self._directory, self._versions, self._say = directory.absolute(), versions, say
        self._nonce = write_nonce(directory)
        self._failed = Counter[str]()
        self._said = set[str]()
        self.refused: dict[str, str] = {}
        """why, of each host of which a place was refused"""

    def refusal(self, place: Place) -> str:
        """Return in one line why a place may not train, or nothing.

        Say that once, or what could be better there.
        """
        left_out = self.refused[place.host] if self.left_out(place.host) else ""
        why = left_out or refusal(place, self._versions, self._directory, self._nonce)
        if why:
            self.refused[place.host] = why
        line = why or place.advice
        if line and line not in self._said:
            self._said.add(line)
            self._say(line)
        return why

    def failed(self, host: str, reason: str) -> None:
        """Count a failure for a reason of the host: its worker could not start, its GPU broke."""
        self._failed[host] += 1
        if self._failed[host] == FAILURES:
            self.refused[host] = f"host {host} is left out: it failed {FAILURES} times in a row, the last: {reason}"
            self._say(self.refused[host])

    def well(self, host: str) -> None:
        """Note that a run on the host comes further."""
        if not self.left_out(host):
            self._failed.pop(host, None)

    def close(self) -> None:
        """Remove what was written for places to read."""
        (self._directory / LAUNCH_NONCE).unlink(missing_ok=True)

    def left_out(self, host: str) -> bool:
        """Return whether the host has failed so often that nothing is trained there any more."""
        return self._failed[host] >= FAILURES
