"""Examine each place of a launcher: one tiny run there, and what is wrong."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mta_lab.config import Layer, fingerprint, resolve
from mta_lab.devices.visible import Gpu
from mta_lab.errors import UserError
from mta_lab.executors import fence
from mta_lab.executors.base import End, Executor, Failed, Finished, Handle, RunEvent, RunRequest, Slot, Started
from mta_lab.executors.installed import installed
from mta_lab.executors.launchers import Launcher, Wanted, executor_of
from mta_lab.executors.places import Place, read_nonce, refusal, write_nonce
from mta_lab.launch.guards import only_launch
from mta_lab.words import duration
from mta_lab.workspace import DOCTOR, RESULTS

LOOK = 0.5  # seconds between two looks at what came
ROUNDS = 3  # of runs: a place that is quick may take two of a round
LONGEST = 120.0  # seconds that a tiny run may take
TINY = Layer(
    "a tiny run",
    {
        "scale": "doctor",
        "task": {"name": "find_block", "letters": 2, "blocks": 3, "held_out": 20},
        "model": {"width": 16, "heads": 2, "layers": 1, "vocabulary": 28, "context": 16, "feed_forward_multiple": 16},
        "training": {"steps": 20, "batch_size": 8, "learning_rate": 1e-3, "warmup_steps": 1, "validation_tokens": 64},
    },
)


@dataclass(kw_only=True)
class Examined:
    """A worker and what came of its examination."""

    worker: int
    place: Place | None = None
    """None where no worker came"""
    seconds: float | None = None
    """that the tiny run took; None where it did not finish"""
    sees: bool = True
    """whether it sees the launch's directory"""
    wrong: str = ""
    """one line on what is wrong, with what to do about it; empty where all is well"""

    @property
    def advice(self) -> str:
        """Return what could be better where all is well, in one line; empty where nothing could."""
        return "" if self.wrong or not self.place else self.place.advice


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All that was found of the places of a launcher."""

    versions: Mapping[str, str]
    """those of this process, which places must have"""
    directory: Path
    """the one that all must see"""
    places: Sequence[Examined]

    @property
    def advice(self) -> list[str]:
        """Return lines on what could be better, and where to read more of what is wrong."""
        lines = [*dict.fromkeys(one.advice for one in self.places if one.advice)]
        return lines if self.well else [*lines, f"what workers printed is in {DOCTOR}"]

    @property
    def well(self) -> bool:
        """Return whether a launch can train on each of them."""
        return not any(one.wrong for one in self.places)


def wanted_of(launcher: Launcher, devices: Sequence[Gpu], devices_per_run: int) -> Wanted:
    """Return what an examination asks of a launcher: `--workers`, or else a worker for each GPU."""
    usual = max(1, len(devices) // devices_per_run)
    workers = launcher.workers or usual
    return Wanted(
        workers=workers,
        of=workers,
        components=(),
        directory=DOCTOR / "run",
        devices=[gpu.key for gpu in devices],
        devices_per_run=devices_per_run,
    )


def diagnose(launcher: Launcher, wanted: Wanted, patience: float, say: Callable[[str], None]) -> Diagnosis:
    """Start a launcher's workers, train a tiny run on each, and return what is wrong with them.

    What workers print stays in DOCTOR where something is wrong.

    Args:
        launcher: where the workers are.
        wanted: what is asked of it, as `wanted_of` makes it.
        patience: seconds in which workers must have come.
        say: is told lines on the way.

    Raises:
        UserError: another examination is under way, or the launcher does not start.
    """
    with only_launch(DOCTOR):
        shutil.rmtree(wanted.directory, ignore_errors=True)
        write_nonce(wanted.directory)
        with executor_of(launcher, wanted, say) as executor:
            examination = Examination(executor, wanted.directory)
            examination.run(patience)
    found = Diagnosis(versions=installed(), directory=RESULTS.absolute(), places=examination.places)
    if found.well:
        shutil.rmtree(DOCTOR)
    return found


class Examination:
    """Trains a tiny run in each slot of an executor, and notes what came of it."""

    def __init__(self, executor: Executor, directory: Path) -> None:
        """Begin; places must see what the launch has written into `directory`."""
        self._executor, self._directory, self._nonce = executor, directory, read_nonce(directory)
        self._found: dict[tuple[int, str, str], Examined] = {}
        self._running: dict[Handle, float] = {}  # when they started
        self._seeds = count()

    @property
    def places(self) -> list[Examined]:
        """Return what was found, by worker."""
        return [self._found[key] for key in sorted(self._found)]

    def run(self, patience: float) -> None:
        """Wait for workers at most `patience` seconds, and train on all that came."""
        late = f"no worker came within {duration(patience)}; is there room for it? --workers asks for fewer"
        try:
            self._until(time.monotonic() + patience, lambda: all(slot.place for slot in self._executor.slots))
            for _ in range(ROUNDS):
                self._train()
        except UserError as error:  # no worker can be started any more
            late = str(error)
        for slot in self._executor.slots:
            if not slot.place:
                self._found[slot.number, "", ""] = Examined(worker=slot.number, wrong=late)
        for one in self._found.values():
            if one.seconds is None and not one.wrong:
                one.wrong = f"no run was trained there: {late}"

    def _train(self) -> None:
        """Train a run for each place that is well and has had none."""
        for one in self._found.values():
            if one.seconds is None and not one.wrong:
                self._running[self._executor.submit(self._request())] = time.monotonic()
        self._until(time.monotonic() + 2 * LONGEST, lambda: not self._running)

    def _request(self) -> RunRequest:
        """Return a run that no other is like."""
        config = resolve([TINY, Layer("another run", {"seed": next(self._seeds)})])
        name = fingerprint(config, "")
        checkpoints, weights = self._directory / "checkpoints" / name, self._directory / f"{name}.pt"
        return RunRequest(
            config=config,
            corpus_root=self._directory,
            checkpoints=checkpoints,
            weights=weights,
            attempt=fence.give(checkpoints),
            timeout=LONGEST,
        )

    def _until(self, end: float, happened: Callable[[], bool]) -> None:
        """Hear what comes until it has happened, or the time is over."""
        while not happened() and time.monotonic() < end:
            for handle, event in self._executor.poll(LOOK):
                self._hear(handle, event)
            for slot in self._executor.slots:
                if slot.place and _key(slot) not in self._found:
                    self._found[_key(slot)] = self._examined(slot.number, slot.place)

    def _examined(self, worker: int, place: Place) -> Examined:
        """Return what a place says of itself, and what is wrong with that."""
        wrong = refusal(place, installed(), self._directory.absolute(), self._nonce)
        return Examined(worker=worker, place=place, sees=place.nonce == self._nonce, wrong=wrong)

    def _hear(self, handle: Handle, event: RunEvent) -> None:
        if isinstance(event, Started):
            self._running[handle] = time.monotonic()
        if not isinstance(event, End):
            return
        started = self._running.pop(handle)
        one = self._found.get(_key(handle.slot)) if handle.slot else None
        if not one:
            return
        if isinstance(event, Failed):
            one.wrong = f"{event.kind}: {event.reason}"
        elif isinstance(event, Finished):
            one.seconds = time.monotonic() - started
            if not handle.request.weights.exists():
                one.wrong = f"its weights did not come to {handle.request.weights}: is that the same directory there?"


def _key(slot: Slot) -> tuple[int, str, str]:
    assert slot.place
    return slot.number, slot.place.host, slot.place.device
