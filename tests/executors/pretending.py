"""An executor that pretends: its runs are scripts, played in this process a step at each poll."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from mta_lab.executors.base import (
    Cancelled,
    Executor,
    Failed,
    Finished,
    Handle,
    Progressed,
    Resources,
    RunEvent,
    RunRequest,
    Slot,
    Started,
)
from mta_lab.executors.places import Place

Script = Callable[[RunRequest, int], Iterator[RunEvent | None]]
"""yields what a request's run tells, one event a poll,
going on from a step; None at a poll without news"""


HERE = Place(host="here", machine="a processor, 1 cores", threads=1, versions={"torch": "2"})


class PretendingExecutor(Executor):
    """Plays `script` for each run, in so many slots."""

    def __init__(self, slots: int, script: Script) -> None:
        self.slots = [Slot(number=number, resources=Resources(cores=1), place=HERE) for number in range(slots)]
        self._script = script
        self._queued = deque[Handle]()
        self._playing: dict[Handle, Iterator[RunEvent | None]] = {}
        self._steps: dict[Handle, int] = {}
        self._until: dict[Handle, float] = {}
        self._kept: dict[str, int] = {}  # checkpoints: the fingerprint of a run -> the step that it goes on from
        self._told: list[tuple[Handle, RunEvent]] = []

    def submit(self, request: RunRequest) -> Handle:
        handle = Handle(request)
        self._queued.append(handle)
        return handle

    def poll(self, seconds: float) -> Sequence[tuple[Handle, RunEvent]]:
        for handle in list(self._playing):
            self._play(handle)
        for slot in self.slots:
            if self._queued and slot not in [handle.slot for handle in self._playing]:
                self._start(self._queued.popleft(), slot)
        told, self._told = self._told, []
        time.sleep(min(seconds, 0.001))  # its long runs leave the processor to other tests
        return told

    def cancel(self, handle: Handle, *, keep: bool) -> None:
        if handle.state == "ended":
            return
        step = self._steps.get(handle, 0)
        if keep and handle.state == "running":
            self._kept[handle.request.checkpoints.name] = step
        if handle in self._queued:
            self._queued.remove(handle)
        self._end(handle, Cancelled(step=step, kept=keep))

    def close(self) -> None:
        for handle in (*self._playing, *self._queued):
            handle.state = "ended"

    def _start(self, handle: Handle, slot: Slot) -> None:
        handle.slot, handle.state = slot, "running"
        self._told.append((handle, Started()))
        step = self._steps[handle] = self._kept.get(handle.request.checkpoints.name, 0)
        self._playing[handle] = self._script(handle.request, step)
        if handle.request.timeout is not None:
            self._until[handle] = time.monotonic() + handle.request.timeout

    def _play(self, handle: Handle) -> None:
        if self._until.get(handle, math.inf) < time.monotonic():
            return self._end(handle, Failed(kind="timed_out", reason="no end in time", traceback=""))
        event = next(self._playing[handle])
        if isinstance(event, Progressed):
            self._steps[handle] = event.progress.step
        if isinstance(event, Finished | Failed | Cancelled):
            self._end(handle, event)
        elif event:
            self._told.append((handle, event))

    def _end(self, handle: Handle, event: RunEvent) -> None:
        handle.state = "ended"
        self._playing.pop(handle, None)
        self._told.append((handle, event))
