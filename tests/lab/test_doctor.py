"""An examination of places: what is found of each, and what is said of those that are not well."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.executors.base import Failed, Finished, RunEvent, RunRequest
from mta_lab.executors.places import Place, write_nonce
from mta_lab.lab import doctor
from mta_lab.lab.doctor import Examination
from tests.executors.scripted import VERSIONS, ScriptedWorkers
from tests.executors.test_pretending import result
from tests.executors.test_scripted import executor_of


def well(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
    request.weights.touch()
    yield Finished(result=result([(4, 2.0)]))


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda: VERSIONS)


@pytest.fixture
def examined(tmp_path: Path) -> Callable[..., Examination]:
    def examine(workers: ScriptedWorkers, patience: float = 60.0) -> Examination:
        write_nonce(tmp_path)
        with executor_of(workers) as executor:
            examination = Examination(executor, tmp_path)
            examination.run(patience)
        return examination

    return examine


Examine = Callable[..., Examination]


def test_each_place_trains_a_run_and_is_well(examined: Examine, tmp_path: Path) -> None:
    places = examined(ScriptedWorkers(["a", "b", "b"], well, tmp_path)).places
    assert [(one.worker, one.place.host if one.place else "", one.wrong) for one in places] == [
        (0, "a", ""), (1, "b", ""), (2, "b", ""),
    ]  # fmt: skip
    assert all(one.seconds is not None and one.sees for one in places)


def test_a_run_that_fails_says_why(examined: Examine, tmp_path: Path) -> None:
    def broken(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
        yield Failed(kind="device", reason="CUDA error: ECC", traceback="")

    (one,) = examined(ScriptedWorkers(["a"], broken, tmp_path)).places
    assert (one.seconds, one.wrong) == (None, "device: CUDA error: ECC")


def test_weights_that_come_to_another_directory_are_missed(examined: Examine, tmp_path: Path) -> None:
    def elsewhere(request: RunRequest, start: int) -> Iterator[RunEvent | None]:
        yield Finished(result=result([(4, 2.0)]))

    (one,) = examined(ScriptedWorkers(["a"], elsewhere, tmp_path)).places
    assert one.wrong.startswith(f"its weights did not come to {tmp_path}")


def test_a_place_that_is_refused_stays_in_the_table(examined: Examine, tmp_path: Path) -> None:
    class Skewed(ScriptedWorkers):
        def place(self, host: str) -> Place:
            place = super().place(host)
            return replace(place, versions=VERSIONS | {"torch": "1"}) if host == "b" else place

    places = examined(Skewed(["a", "b"], well, tmp_path)).places
    (refused,) = [one for one in places if one.place and one.place.host == "b"]
    assert refused.wrong.startswith("host b has torch 1, where the launch has 2: ")
    assert refused.seconds is None
    assert all(one.seconds is not None for one in places if one is not refused)


def test_a_worker_that_does_not_come_is_said(examined: Examine, tmp_path: Path) -> None:
    late = ScriptedWorkers(["a", "b"], well, tmp_path, late={1})
    first, second = examined(late, patience=0.1).places
    assert first.seconds is not None
    assert second.place is None
    assert second.wrong == "no worker came within 0.1 s; is there room for it? --workers asks for fewer"
