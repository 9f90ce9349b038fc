"""The executor of this machine: each slot is a warm worker process."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mta_lab.devices.visible import together
from mta_lab.errors import UserError
from mta_lab.executors.base import (
    Cancelled,
    Executor,
    Failed,
    Finished,
    Handle,
    Resources,
    RunEvent,
    RunRequest,
    Slot,
    Started,
)
from mta_lab.executors.local.messages import PRINTED, Died, Message, Ready, Setup, Stop
from mta_lab.executors.local.pool import Pool
from mta_lab.words import duration

STARTS = 3  # deaths of a worker and those in its place, in a row and before they were ready, that end everything;
PATIENT_STARTS = 15  # where the last was killed from outside, which says little of the next
UNGUARDED = 'a script trains below `if __name__ == "__main__":` alone, as each worker reads the script anew'


class LocalExecutor(Executor):
    """So many worker processes of so many torch threads each, which keep their logs in `logs`.

    Worker k has the k-th of `devices` alone; several share one in turn where they are more.
    `devices` holds names as in CUDA_VISIBLE_DEVICES; none where runs train on the CPU. With several
    `devices_per_run`, a worker has the k-th so many, and a process of so many threads for each.
    """

    def __init__(
        self,
        workers: int,
        components: Sequence[Path],
        logs: Path,
        threads: int,
        devices: Sequence[str] = (),
        devices_per_run: int = 1,
    ) -> None:
        gpus = min(float(devices_per_run), len(devices) / workers)
        resources = Resources(cores=threads * devices_per_run, gpus=gpus)
        self.slots = [Slot(number=number, resources=resources) for number in range(workers)]
        self._queued = deque[Handle]()
        self._running: dict[int, Handle] = {}
        self._until: dict[int, float] = {}  # when the time of what a worker runs is over
        self._ready = set[int]()
        self._ending = set[int]()  # workers that were killed or are gone, until others are in their place
        self._kept = set[int]()  # workers that were asked to keep what they run
        self._overdue = set[int]()  # those of them that were killed because their run's time was over
        self._failed_starts = Counter[int]()
        self._events: list[tuple[Handle, RunEvent]] = []
        seen = logs.absolute()
        setup = Setup(components=tuple(components), threads=threads, count=devices_per_run, directory=seen)
        self._pool = Pool(workers, setup, logs, together(devices, devices_per_run))

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
        for handle in (*self._running.values(), *self._queued):
            handle.state = "ended"

    def _hear(self, worker: int, message: Message) -> None:
        if isinstance(message, Ready):
            self._ready.add(worker)
            self._failed_starts[worker] = 0
            self.slots[worker] = replace(self.slots[worker], place=message.place)
        elif isinstance(message, Died):
            self._bury(worker, message)
        elif worker in self._running:
            self._tell(self._running[worker], _as_cancelled(message))

    def _bury(self, worker: int, died: Died) -> None:
        if handle := self._running.get(worker):
            kind, reason = died.kind, died.reason
            if worker in self._overdue:
                kind, reason = "timed_out", f"no end within {duration(handle.request.timeout or 0)} (--trial-timeout)"
            self._tell(handle, Failed(kind=kind, reason=reason, traceback=died.printed[-PRINTED:]))
        elif worker not in self._ready:
            self._failed_starts[worker] += 1
            if self._failed_starts[worker] >= (STARTS if died.by_itself else PATIENT_STARTS):
                times = f"{self._failed_starts[worker]} times in a row"
                hint = "" if died.printed else f", or above: {UNGUARDED}"
                raise UserError(f"a worker could not start, {times}: {died.reason}; see {died.log}{hint}")
        for known in (self._ready, self._ending, self._overdue):
            known.discard(worker)

    def _start_queued(self) -> None:
        for worker in sorted(self._ready - self._ending - self._running.keys()):
            if not self._queued:
                return
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
