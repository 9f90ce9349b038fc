"""The places where slots train: which of them a launch takes, and what it says of the others."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.executors.installed import installed
from mta_lab.executors.places import FAILURES, JOB_END, Gate, Place, end_of_time, read_nonce
from tests.executors.scripted import VERSIONS as OURS


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def gate(tmp_path: Path, said: list[str]) -> Gate:
    return Gate(tmp_path, OURS, said.append)


@pytest.fixture
def place(gate: Gate, tmp_path: Path) -> Place:
    return Place(host="gpu07", machine="a GPU", device="0", threads=1, versions=OURS, nonce=read_nonce(tmp_path))


def test_a_place_that_is_as_the_launch_is_taken(gate: Gate, place: Place, said: list[str]) -> None:
    assert not gate.refusal(place)
    assert not gate.refusal(replace(place, versions={**OURS, "commit": "ba9876543210"}))  # of the same sources
    assert said == []


@pytest.mark.parametrize("name", [name for name in OURS if name not in ("commit", "kernels")])
def test_a_place_of_another_version_is_refused_with_both_values(name: str, gate: Gate, place: Place) -> None:
    why = gate.refusal(replace(place, versions={**OURS, name: "another"}))
    assert f"host gpu07 has {name} another, where the launch has {OURS[name]}: " in why
    assert "\n" not in why


@pytest.mark.parametrize(
    ("ours", "theirs", "remedy"),
    [
        ("aaaa", "none", "type there: mta-lab build-kernel"),
        ("none", "bbbb", "type here: mta-lab build-kernel"),
        ("aaaa", "bbbb", "its processor is of another kind; start the launch on a host of that kind"),
    ],
)
def test_a_place_of_other_kernels_is_refused_where_they_compute(
    ours: str, theirs: str, remedy: str, tmp_path: Path, place: Place
) -> None:
    gate = Gate(tmp_path, {**OURS, "kernels": ours}, lambda line: None)
    other = replace(place, versions={**OURS, "kernels": theirs}, nonce=read_nonce(tmp_path))
    assert not gate.refusal(other)  # a GPU computes there
    why = f"host gpu07 has kernels {theirs}, where the launch has {ours}: {remedy}"
    assert gate.refusal(replace(other, device="")) == why


def test_other_sources_are_called_by_their_commits(gate: Gate, place: Place) -> None:
    other = {**OURS, "commit": "ba9876543210", "sources": "bbbb"}
    assert "has commit ba9876543210, where the launch has 0123456789ab" in gate.refusal(replace(place, versions=other))


def test_a_place_that_does_not_see_the_directory_is_refused(gate: Gate, place: Place, tmp_path: Path) -> None:
    for nonce in ("", "of another launch"):
        assert gate.refusal(replace(place, nonce=nonce)).startswith(f"host gpu07 does not see {tmp_path}: ")


def test_a_refusal_is_said_once(gate: Gate, place: Place, said: list[str]) -> None:
    for _ in range(3):
        gate.refusal(replace(place, nonce=""))
    assert said == [gate.refused["gpu07"]]


def test_a_place_that_could_do_better_is_taken_and_said(gate: Gate, place: Place, said: list[str]) -> None:
    assert not gate.refusal(replace(place, trouble="the GPU cannot be used"))
    for _ in range(2):
        assert not gate.refusal(replace(place, device=""))
    assert said == [
        "host gpu07: the GPU cannot be used",
        "host gpu07 has no compiled kernels, so its runs are slower; type there: mta-lab build-kernel",
    ]


def test_a_host_that_fails_again_and_again_is_left_out(gate: Gate, place: Place, said: list[str]) -> None:
    for _ in range(FAILURES - 1):
        gate.failed("gpu07", "no memory")
    gate.well("gpu07")  # a run came further there, so it starts anew
    for _ in range(FAILURES - 1):
        gate.failed("gpu07", "no memory")
    assert not gate.refusal(place)
    gate.failed("gpu07", "CUDA error: ECC")
    assert said == ["host gpu07 is left out: it failed 3 times in a row, the last: CUDA error: ECC"]
    assert gate.refusal(place) == said[0]
    assert not gate.refusal(replace(place, host="gpu08"))


def test_a_launch_that_ends_leaves_nothing_to_read(gate: Gate, tmp_path: Path) -> None:
    assert read_nonce(tmp_path)
    gate.close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_says_when_its_time_is_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_END, str(int(time.time()) + 3600))
    later = end_of_time()
    assert later
    assert not place.near_its_end
    assert not replace(place, ends=later).near_its_end
    assert replace(place, ends=later - 3590).near_its_end
    monkeypatch.delenv(JOB_END)
    assert end_of_time() is None


def test_versions_name_all_that_decides_about_results() -> None:
    assert set(installed()) == set(OURS)
    assert all(installed().values())
