"""The check of a machine with a GPU: what it says without one, and its stages on the CPU."""

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mta_lab.children import python
from mta_lab.errors import UserError
from mta_lab.gpu_check import __main__ as program
from mta_lab.gpu_check import check as checking
from mta_lab.gpu_check.check import LONGEST, check
from mta_lab.gpu_check.stages import STAGES, Stage
from mta_lab.lab.gpu_checking import stages_of

EVERY = [stage for stage in STAGES if stage.built]
QUICK = ("environment", "attention", "step")


def checked(tmp_path: Path, *stages: Stage, small: bool = True) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether no stage failed, and what the file says of each."""
    file = tmp_path / "gpu.json"
    passed = check(file, stages, small=small, say=lambda stage, said: None)
    return passed, json.loads(file.read_text())["stages"]


def test_the_whole_takes_eight_minutes_at_most() -> None:
    assert sum(stage.limit for stage in STAGES) <= LONGEST == 8 * 60


def test_each_stage_that_is_built_has_a_program() -> None:
    for stage in EVERY:
        assert callable(import_module(f"mta_lab.gpu_check.{stage.name}").run)


def test_without_a_gpu_nothing_is_run_and_the_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "gpus", lambda: ())
    passed, found = checked(tmp_path, *STAGES, small=False)
    assert passed
    assert [entry["name"] for entry in found] == [stage.name for stage in STAGES]
    assert {entry["state"] for entry in found if entry["name"] != "kernels"} == {"not run: no GPU"}
    assert [entry["state"] for entry in found if entry["name"] == "kernels"] == ["not built"]


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let other code run in the place of a stage's program."""

    def put(code: str) -> None:
        monkeypatch.setattr(checking, "python", lambda *arguments: python("-c", code, *arguments[2:]))

    return put


WRITES = "import sys, pathlib; pathlib.Path(sys.argv[2], 'outcome.json').write_text({said!r}); sys.exit({status})"


@pytest.mark.parametrize(
    ("code", "passed", "expected"),
    [
        (WRITES.format(said='{"a": 1}', status=0), True, {"state": "passed", "result": {"a": 1}}),
        (WRITES.format(said='"it is wrong"', status=1), False, {"state": "failed", "error": "it is wrong"}),
        (WRITES.format(said='"no tests"', status=3), True, {"state": "not run: no tests"}),
        ("print('a last word'); raise SystemExit(7)", False, {"error": "ended with status 7", "log": ["a last word"]}),
        ("import os; os.abort()", False, {"state": "failed", "error": "ended with status -6"}),
    ],
)
def test_each_end_of_a_stage_is_told(
    code: str, passed: bool, expected: dict[str, Any], instead: Any, tmp_path: Path
) -> None:
    instead(code)
    well, (entry,) = checked(tmp_path, STAGES[0])
    assert well is passed
    assert expected.items() <= entry.items()


def test_a_stage_that_takes_too_long_is_ended_with_all_its_processes(
    instead: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "left"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(left)!r}).touch()"
    instead(f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)")
    monkeypatch.setattr(checking, "PATIENT", 1)
    stage = Stage(name="slow", limit=2, proves="that it is ended")
    passed, (entry, after) = checked(tmp_path, stage, Stage(name="after", limit=0, proves="", built=False))
    assert not passed
    assert (entry["state"], entry["error"]) == ("failed", "took longer than 2 s")
    assert after["state"] == "not built"  # the next one comes all the same
    time.sleep(3)
    assert not left.exists()


def test_the_file_is_whole_after_each_stage(instead: Any, tmp_path: Path) -> None:
    instead(WRITES.format(said="{}", status=0))
    seen: list[list[str]] = []
    file = tmp_path / "gpu.json"

    def look(stage: Stage, said: str) -> None:
        seen.append([entry["state"] for entry in json.loads(file.read_text())["stages"]])

    check(file, STAGES[:3], small=True, say=look)
    assert seen == [["to do"] * 3, ["passed", "to do", "to do"], ["passed", "passed", "to do"]]


def test_a_file_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"gpu\.json: cannot be written"):
        check(tmp_path / "file" / "gpu.json", STAGES, small=True, say=lambda stage, said: None)


def test_stages_are_asked_for_by_name() -> None:
    assert [stage.name for stage in stages_of(["step", "environment"])] == ["environment", "step"]
    assert stages_of([]) == list(STAGES)
    with pytest.raises(UserError, match=r"--only: no stage named 'steps'; did you mean 'step'\? stages: environment"):
        stages_of(["steps"])


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_stage_runs_small_in_this_process(name: str, tmp_path: Path) -> None:
    assert program.main(name, tmp_path, small=True) == 0
    assert json.loads((tmp_path / "outcome.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("stage", EVERY, ids=lambda stage: stage.name)
def test_each_stage_runs_small_on_the_cpu(stage: Stage, tmp_path: Path) -> None:
    passed, (entry,) = checked(tmp_path, stage)
    assert passed, entry
    assert entry["state"] == "passed"
    assert entry["result"]
