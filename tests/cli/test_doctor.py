"""`mta-lab doctor`: the table of places, and the exit status."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mta_lab.executors.base import Failed, Finished, RunEvent, RunRequest
from mta_lab.executors.launchers import Launcher, Wanted
from mta_lab.executors.workers import WorkersExecutor
from mta_lab.lab import doctor
from tests.cli.conftest import Command
from tests.executors.scripted import VERSIONS, ScriptedWorkers
from tests.executors.test_pretending import result
from tests.executors.test_scripted import executor_of


def played(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
    request.weights.touch()
    yield Finished(result=result([(4, 2.0)]))


def broken(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
    yield Failed(kind="device", reason="CUDA error: ECC", traceback="")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let runs of the examination be played on two hosts."""

    def pretend(script: Callable[[RunRequest, int], Iterator[RunEvent | None]]) -> None:
        def opened(launcher: Launcher, wanted: Wanted, say: Callable[[str], None]) -> WorkersExecutor:
            return executor_of(ScriptedWorkers(["gpu01", "gpu02"], script, wanted.directory))

        monkeypatch.setattr(doctor, "executor_of", opened)
        monkeypatch.setattr(doctor, "installed", lambda: VERSIONS)

    return pretend


def test_places_that_are_well_are_a_table_and_nothing_stays(scripted: Callable[..., None], lab: Command) -> None:
    scripted(played)
    done = lab("doctor")
    assert done.status == 0
    assert "engine 4, torch 2, lightning 2, kernels none; results are kept in " in done.out
    for host in ("gpu01", "gpu02"):
        (line,) = [line for line in done.out.splitlines() if f"│ {host} " in line]
        cells = [cell.strip() for cell in line.split("│")]
        assert cells[3:7] == ["a processor, 1 cores", "1", "the same", "seen"]
        assert cells[8] == "nothing"
    assert "host gpu02 has no compiled kernels, so its runs are slower; type there: mta-lab build-kernel\n" in done.out
    assert not Path("results", "doctor").exists()


def test_what_is_wrong_is_said_and_what_was_printed_stays(scripted: Callable[..., None], lab: Command) -> None:
    scripted(broken)
    done = lab("doctor")
    assert done.status == 1
    assert "device: CUDA error: ECC" in " ".join(done.out.split())
    assert "what workers printed is in results/doctor" in done.out
    assert Path("results", "doctor").is_dir()


@pytest.mark.slow
def test_this_machine_is_well(lab: Command) -> None:
    done = lab("doctor", "--workers", "2")
    assert done.status == 0
    assert done.out.count("nothing") == 2
