"""The events of launches as lines of a file, to follow with `tail -f` or to read with a program.

The file is bounded: a run's progress is written at most every ten seconds, and a file of 16 MB is
set aside as `events.jsonl.1`, in place of the one before.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mta_lab.atomic import open_log
from mta_lab.launch.events import (
    Event,
    LaunchEnded,
    LaunchStarted,
    Note,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
    RunStopped,
    RunValidated,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.masking import masked, one_environment
from mta_lab.workspace import LAUNCH_EVENTS

MOST = 16 << 20  # bytes of the file
INTERVAL = 10.0  # seconds between two lines on the progress of one run
NAMES = {
    LaunchStarted: "launch started",
    RunStarted: "run started",
    RunProgressed: "run progressed",
    RunValidated: "run validated",
    RunFinished: "run finished",
    RunFailed: "run failed",
    RunRequeued: "run requeued",
    RunPruned: "run pruned",
    RunStopped: "run stopped",
    Note: "note",
    LaunchEnded: "launch ended",
}


class EventLog:
    """Appends a line for each event to a file in `directory`.

    A disk that takes no line does not end the launch.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LAUNCH_EVENTS
        self._begun = False
        self._written: dict[str, float] = {}  # when the progress of a run was written last

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Append the event."""
        if isinstance(event, RunProgressed):
            now, name = time.monotonic(), event.run.fingerprint
            if now - self._written.get(name, -INTERVAL) < INTERVAL:
                return
            self._written[name] = now
        with suppress(OSError), one_environment():
            self._append(_line(event, outlook))

    def _append(self, line: str) -> None:
        with open_log(self.path) as file:
            size = file.tell()
            torn = not self._begun and size > 0 and not _ends_a_line(self.path)
            self._begun = True
            file.write(f"{chr(10) * torn}{line}\n".encode())
        if size > MOST:
            os.replace(self.path, self.path.with_name(f"{LAUNCH_EVENTS}.1"))


def _ends_a_line(path: Path) -> bool:
    """Return whether the last line is whole: a launch may have been killed while it wrote."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _line(event: Event, outlook: Outlook) -> str:
    """Return an event as JSON, in which no secret stands."""
    about: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": NAMES[type(event)]}
    if not isinstance(event, LaunchStarted | Note | LaunchEnded):
        about |= {"run": event.run.label, "fingerprint": event.run.fingerprint, "slot": event.slot}
    if isinstance(event, RunStarted) and event.place:
        about |= {"host": event.place.host, "device": event.place.computes_on}
    about |= _fields(event, outlook)
    return json.dumps({name: _clean(value) for name, value in about.items()})


def _fields(event: Event, outlook: Outlook) -> Mapping[str, Any]:
    """Return what is told of an event beside its run."""
    match event:
        case LaunchStarted():
            asked = {"sweep": event.sweep, "scale": event.scale, "command": event.command}
            return {**asked, "slots": event.slots, "runs": outlook.runs, "process": os.getpid()}
        case RunProgressed():
            return {"step": event.progress.step, **event.progress.measures, "left": outlook.left}
        case RunValidated() | RunPruned():
            return {"step": event.validation.step, "score": event.validation.score}
        case RunFinished():
            ended = {"ended": outlook.ended, "runs": outlook.runs, "left": outlook.left}
            return {"score": event.record.score, "seconds": event.record.seconds, **ended}
        case RunFailed():
            return {"kind": event.failure.kind, "reason": event.failure.reason}
        case RunRequeued():
            return {"reason": event.reason, **({"kind": event.failure.kind} if event.failure else {})}
        case RunStopped():
            return {"step": event.step}
        case Note():
            return {"text": event.text}
        case LaunchEnded():
            return {"outcome": event.outcome, "ended": outlook.ended, "runs": outlook.runs, "busy": outlook.busy}
    return {}


def _clean(value: Any) -> Any:
    """Return a value without secrets, and JSON's null for what is no finite number."""
    if isinstance(value, str):
        return masked(value)
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
