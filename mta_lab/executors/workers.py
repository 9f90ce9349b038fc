"""An executor whose slots are warm worker processes, wherever they are."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Protocol

from mta_lab.errors import UserError
from mta_lab.executors.base import (
    Cancelled,
    Executor,
    Failed,
    Finished,
    Handle,
    Progressed,
    RunEvent,
    RunRequest,
    Slot,
    Started,
)
from mta_lab.executors.local.messages import PRINTED, Arrived, Died, Message, Ready, Stop
from mta_lab.executors.places import Gate
from mta_lab.words import duration

STARTS = 3  # deaths of a worker and those in its place, in a row and before they were ready, that end everything;
PATIENT_STARTS = 15  # where the last was killed from outside, which says little of the next


class Workers(Protocol):
    """So many workers, numbered from 0, each the process of one run at a time.

    A worker that died is replaced under its number. Some may come late, as machines do.
    """

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        """Hand a run to a ready worker, or stop its run; raise OSError if it is gone."""

    def kill(self, worker: int) -> None:
        """End a worker that may not listen any more: it may hang in native code."""

    def poll(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """Return messages of workers, in order for each; wait at most `seconds` for the first.

        Their first word is Ready; the last one is Died.
        """

    def leave_out(self, host: str) -> bool:
        """Take no place on a host from now on; return whether others are left."""

    def close(self) -> None:
        """End all workers at once."""


class WorkersExecutor(Executor):
    """Hands runs to workers that are ready, and keeps account of the others."""

    unprinted: ClassVar[str] = ""
    """a line on workers that cannot start and print nothing"""

    def __init__(self, slots: list[Slot], pool: Workers, gate: Gate | None = None) -> None:
        """Begin; a `gate` decides which places are taken, all of them without one."""
        self.slots = slots
        self._gate = gate
        self._pool = pool
        self._queued = deque[Handle]()
        self._running: dict[int, Handle] = {}
        self._until: dict[int, float] = {}  # when the time of what a worker runs is over
        self._ready = set[int]()
        self._ending = set[int]()  # workers that were killed or are gone, until others are in their place
        self._kept = set[int]()  # workers that were asked to keep what they run
        self._overdue = set[int]()  # those of them that were killed because their run's time was over
        self._hosts: dict[int, str] = {}  # of workers that are known to have come to one
        self._failed_starts = Counter[int]()
        self._events: list[tuple[Handle, RunEvent]] = []

    def submit(self, request: RunRequest) -> Handle:
        """Hand a run to an idle worker, or queue it."""
        handle = Handle(request)
        self._queued.append(handle)
        self._start_queued()
        return handle

    def poll(self, seconds: float) -> Sequence[tuple[Handle, RunEvent]]:
        """Return what the workers told, in order."""
        self._kill_overdue()
        for worker, message in self._pool.poll(0.0 if self._events else seconds):
            self._hear(worker, message)
        self._start_queued()
        events, self._events = self._events, []
        return events

    def cancel(self, handle: Handle, *, keep: bool) -> None:
        """Take a run out of the queue, or ask its worker to stop."""
        if handle.state == "queued":
            self._queued.remove(handle)
            self._tell(handle, Cancelled(step=0, kept=keep))
        elif handle.state == "running" and handle.slot:
            if keep:
                self._until.pop(handle.slot.number, None)
                self._kept.add(handle.slot.number)
            with suppress(OSError):  # the worker died, and the pool will say so
                self._pool.send(handle.slot.number, Stop(keep=keep))

    def close(self) -> None:
        """Kill the workers."""
        self._pool.close()
        if self._gate:
            self._gate.close()
        for handle in (*self._running.values(), *self._queued):
            handle.state = "ended"

    def _hear(self, worker: int, message: Message) -> None:
        if isinstance(message, Arrived):
            self._hosts[worker] = message.host
        elif isinstance(message, Ready):
            self._ready.add(worker)
            self._failed_starts[worker] = 0
            self.slots[worker] = replace(self.slots[worker], place=message.place)
            if self._gate and (why := self._gate.refusal(message.place)):
                self._leave_out(message.place.host, why)
        elif isinstance(message, Died):
            self._bury(worker, message)
        elif worker in self._running:
            self._judge(worker, message)
            self._tell(self._running[worker], _as_cancelled(message))

    def _bury(self, worker: int, died: Died) -> None:
        if handle := self._running.get(worker):
            kind, reason = died.kind, died.reason
            if worker in self._overdue:
                kind, reason = "timed_out", f"no end within {duration(handle.request.timeout or 0)} (--trial-timeout)"
            self._tell(handle, Failed(kind=kind, reason=reason, traceback=died.printed[-PRINTED:]))
        elif worker not in self._ready:
            self._failed_to_start(worker, died)
        for known in (self._ready, self._ending, self._overdue):
            known.discard(worker)
        self._hosts.pop(worker, None)

    def _failed_to_start(self, worker: int, died: Died) -> None:
        if self._gate and died.by_itself and worker in self._hosts:  # others may be well
            self._blame(self._hosts[worker], died.reason)
            return
        self._failed_starts[worker] += 1
        if self._failed_starts[worker] >= (STARTS if died.by_itself else PATIENT_STARTS):
            times = f"{self._failed_starts[worker]} times in a row"
            hint = "" if died.printed else self.unprinted
            raise UserError(f"a worker could not start, {times}: {died.reason}; see {died.log}{hint}")

    def _judge(self, worker: int, event: RunEvent) -> None:
        """Note what an event says of the run's host."""
        if self._gate and worker in self._hosts:
            if isinstance(event, Progressed):
                self._gate.well(self._hosts[worker])
            elif isinstance(event, Failed) and event.kind == "device":
                self._blame(self._hosts[worker], event.reason)

    def _blame(self, host: str, reason: str) -> None:
        """Count a failure of a host; leave it out after several."""
        assert self._gate
        self._gate.failed(host, reason)
        if self._gate.left_out(host):
            self._leave_out(host, self._gate.refused[host])

    def _leave_out(self, host: str, why: str) -> None:
        """End the idle workers of a host, and let no others come there."""
        if not self._pool.leave_out(host):
            raise UserError(f"no host is left to train on: {why}")
        for slot in self.slots:
            if slot.place and slot.place.host == host and slot.number in self._ready - self._running.keys():
                self._ending.add(slot.number)
                self._pool.kill(slot.number)

    def _start_queued(self) -> None:
        if not self._queued:  # as nearly always: a thousand workers need not be looked at for each message
            return
        for worker in sorted(self._ready - self._ending - self._running.keys()):
            if not self._queued:
                return
            if self._gate and (place := self.slots[worker].place) and place.near_its_end:
                continue
            handle = self._queued[0]
            try:
                self._pool.send(worker, handle.request)
            except OSError:  # it died since its last word, and the pool will say so
                self._ending.add(worker)
                continue
            self._queued.popleft()
            handle.slot = self.slots[worker]
            self._running[worker] = handle
            if handle.request.timeout is not None:
                self._until[worker] = time.monotonic() + handle.request.timeout
            self._tell(handle, Started())

    def _kill_overdue(self) -> None:
        """End the workers whose run has taken too long.

        They may hang in native code, and read no message.
        """
        for worker in [worker for worker, until in self._until.items() if until < time.monotonic()]:
            del self._until[worker]
            self._ending.add(worker)
            self._overdue.add(worker)
            self._pool.kill(worker)

    def _tell(self, handle: Handle, event: RunEvent) -> None:
        self._events.append((handle, event))
        handle.state = "running"
        if isinstance(event, Finished | Failed | Cancelled):
            handle.state = "ended"
            if handle.slot:
                self._forget(handle.slot.number, event)

    def _forget(self, worker: int, end: RunEvent) -> None:
        """Forget a worker's run, which has ended."""
        del self._running[worker]
        self._until.pop(worker, None)
        if isinstance(end, Cancelled) and end.kept and worker not in self._kept:
            self._ending.add(worker)  # it was terminated from outside: it says so and ends
        if isinstance(end, Failed) and end.kind == "device":
            self._ending.add(worker)  # it exits, and another comes in its place
        self._kept.discard(worker)


def _as_cancelled(event: RunEvent) -> RunEvent:
    """Return the event, as Cancelled where training ended early, as asked: it has no result."""
    if isinstance(event, Finished) and event.result.stopped_early:
        return Cancelled(step=event.result.losses[-1][0], kept=False)
    return event
