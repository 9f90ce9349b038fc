"""Workers that play scripts in this process, on hosts that come late, are lost and are cut off."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mta_lab.executors.base import Cancelled, End, Progressed, RunEvent, RunRequest
from mta_lab.executors.local.messages import Arrived, Died, Message, Ready, Stop
from mta_lab.executors.places import Place, read_nonce
from tests.executors.pretending import Script

PACE = 0.002  # seconds of each poll
VERSIONS = {
    "commit": "0123456789ab",
    "sources": "aaaa",
    "engine": "4",
    "torch": "2",
    "lightning": "2",
    "kernels": "none",
}


@dataclass
class Attempt:
    """A run that is played."""

    request: RunRequest
    events: Iterator[RunEvent | None]
    step: int
    stop: Stop | None = None


@dataclass
class ScriptedWorkers:
    """A worker for each entry of `hosts`, which says where it is; one that is gone comes again."""

    hosts: list[str]
    script: Script
    directory: Path
    """of the launch, which all hosts see"""
    late: set[int] = field(default_factory=set)
    """workers that have not come yet"""
    kept: dict[str, int] = field(default_factory=dict)
    """the step that a run goes on from, by its fingerprint"""
    cut_off: list[Attempt] = field(default_factory=list)
    """attempts that go on although their workers are given up"""
    _playing: dict[int, Attempt] = field(default_factory=dict)
    _up: set[int] = field(default_factory=set)
    _dead: dict[int, Died] = field(default_factory=dict)

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        if worker in self._dead or worker not in self._up:
            raise OSError("it is gone")
        if isinstance(message, RunRequest):
            start = self.kept.get(message.checkpoints.name, 0)
            self._playing[worker] = Attempt(message, self.script(message, start), start)
        elif worker in self._playing:
            self._playing[worker].stop = message

    def kill(self, worker: int) -> None:
        self._dead[worker] = self._died("killed", "it was killed")

    def lose(self, host: str, instead: str) -> None:
        """Cut a host off: its workers are lost, and what they play goes on unheard."""
        for worker in [worker for worker, where in enumerate(self.hosts) if where == host]:
            self._dead[worker] = self._died("lost", f"host {host} is gone")
            self.hosts[worker] = instead

    def poll(self, seconds: float) -> Sequence[tuple[int, Message]]:
        time.sleep(PACE)
        told: list[tuple[int, Message]] = []
        for worker, died in self._dead.items():
            if attempt := self._playing.pop(worker, None):
                self.cut_off += [attempt] if died.kind == "lost" else []
            told.append((worker, died))
            self._up.discard(worker)
        self._dead.clear()
        for attempt in list(self.cut_off):
            if isinstance(self._next(attempt), End):
                self.cut_off.remove(attempt)
        for worker, host in enumerate(self.hosts):
            if worker in self._playing:
                if event := self._next(self._playing[worker]):
                    told.append((worker, event))
                if isinstance(event, End):
                    del self._playing[worker]
            elif worker not in self._up and worker not in self.late and worker not in dict(told):
                self._up.add(worker)
                told += [(worker, Arrived(host=host)), (worker, Ready(place=self.place(host)))]
        return told

    def place(self, host: str) -> Place:
        nonce = read_nonce(self.directory)
        return Place(host=host, machine="a processor, 1 cores", threads=1, versions=VERSIONS, nonce=nonce)

    def leave_out(self, host: str) -> bool:
        self.hosts = [next(iter({*self.hosts} - {host}), host) if where == host else where for where in self.hosts]
        return host not in self.hosts

    def close(self) -> None:
        self._playing.clear()

    def _next(self, attempt: Attempt) -> RunEvent | None:
        if attempt.stop:
            if attempt.stop.keep:
                self.kept[attempt.request.checkpoints.name] = attempt.step
            return Cancelled(step=attempt.step, kept=attempt.stop.keep)
        event = next(attempt.events)
        if isinstance(event, Progressed):
            attempt.step = event.progress.step
        return event

    def _died(self, kind: str, reason: str) -> Died:
        return Died(kind=kind, by_itself=False, reason=reason, log=self.directory / "log", printed="")  # type: ignore[arg-type]
