"""The command as a process of its own, whose output goes where nobody expects it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from mta_lab.results.records import Records
from tests.scheduling.conftest import plain_study

LAB = shlex.join([sys.executable, "-m", "mta_lab"])
SWEEP = """
title: Größe π
base:
  model: {width: 16, heads: 2, layers: 1, vocabulary: 28, feed_forward_multiple: 16}
  task: {name: find_block, letters: 3, blocks: 2, held_out: 12}
  training: {steps: 12, batch_size: 4, warmup_steps: 2, validations: 2}
rows: {é: {attention: softmax}, plain: {attention: talking_heads}}
seeds: 1
"""
NARROW = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
READ_ONLY = "mount --bind results results; mount -o remount,ro,bind results; "
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-ec"]


def shell(line: str, folder: Path, *, inside: tuple[str, ...] = ("bash", "-c"), **variables: str) -> tuple[int, str]:
    """The status of a line of bash, in which `lab` is the command, and all that it printed."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    script = f'lab() {{ {LAB} "$@"; }}; {line}'
    done = subprocess.run(
        [*inside, script],
        cwd=folder,
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def folder_with_sweep(folder: Path) -> Path:
    (folder / "odd.yaml").write_text(SWEEP, encoding="utf-8")
    return folder


def states_in_mlflow(folder: Path) -> set[str]:
    """Those of the sweep's runs; none where the launch ended before its experiment was made."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("odd-nano")
    return {run.info.status for run in client.search_runs([experiment.experiment_id])} if experiment else set()


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose sweep has run in a process that can print ASCII alone."""
    folder = folder_with_sweep(tmp_path_factory.mktemp("swept"))
    status, printed = shell("lab sweep odd.yaml --workers 1", folder, **NARROW)
    assert status == 0, printed
    assert "Gr\\xf6\\xdfe \\u03c0: 2 of 2 runs to train" in printed
    assert "Traceback" not in printed
    return folder


LATIN = {"PYTHONIOENCODING": "latin-1"}


def slow(*values: object) -> Any:
    """Mark a case for `make test-slow`: one of its kind a day will do, each starts a process."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("form", "variables"),
    [
        ("rich", C_LOCALE),
        ("csv", LATIN),
        slow("rich", NARROW),
        slow("rich", LATIN),
        slow("csv", NARROW),
        slow("csv", C_LOCALE),
    ],
)
def test_what_the_encoding_lacks_is_printed_as_a_number(form: str, variables: dict[str, str], swept: Path) -> None:
    status, printed = shell(f"lab report odd.yaml --format {form} | iconv -f latin1", swept, **variables)
    assert status == 0, printed
    assert "plain" in printed
    assert "\\xe9" in printed or "é" in printed
    assert "Traceback" not in printed


def test_an_argument_that_is_no_utf_8_is_a_mistake_in_one_line(swept: Path) -> None:
    status, printed = shell(r"lab report $'no\xffne'", swept)
    assert (status, printed.count("\n")) == (2, 1)
    assert printed.startswith(r"mta-lab: no sweep or file named 'no\udcffne'")


@pytest.mark.parametrize("line", ["report odd.yaml", "--help", slow("status"), slow("components")])
def test_a_full_disk_behind_stdout_is_one_line(line: str, swept: Path) -> None:
    status, printed = shell(f"lab {line} > /dev/full", swept)
    assert (status, printed) == (2, "mta-lab: stdout: cannot be written: No space left on device\n")


def test_a_full_disk_behind_both_is_a_status(swept: Path) -> None:
    assert shell("lab report odd.yaml > /dev/full 2> /dev/full", swept) == (2, "")
    assert shell("lab report none 2> /dev/full", swept) == (2, "")


def test_a_reader_who_has_enough_is_no_mistake(swept: Path) -> None:
    status, printed = shell("lab report odd.yaml --format json | head -c 1; exit ${PIPESTATUS[0]}", swept)
    assert (status, printed) in ((0, "{"), (141, "{"))  # it had printed all of it before the pipe closed, or not


def test_a_launch_that_can_print_nothing_starts_nothing(tmp_path: Path) -> None:
    status, printed = shell("lab sweep odd.yaml --workers 1 > /dev/full", folder_with_sweep(tmp_path))
    assert (status, printed) == (2, "mta-lab: stdout: cannot be written: No space left on device\n")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.yaml"]


@pytest.mark.slow
def test_a_pipe_that_closes_in_the_middle_ends_a_launch_as_ctrl_c_does(tmp_path: Path) -> None:
    folder = folder_with_sweep(tmp_path)
    status, printed = shell("lab sweep odd.yaml --workers 1 | head -1; exit ${PIPESTATUS[0]}", folder)
    first, interrupted, why = printed.splitlines()
    assert status == 141
    assert first == "Größe π: 2 of 2 runs to train on 1 worker"
    assert interrupted.startswith("mta-lab: interrupted; ")
    assert why == "mta-lab: stdout: cannot be written: Broken pipe"
    assert states_in_mlflow(folder) <= {"KILLED", "FINISHED"}
    trials = plain_study(folder / "results" / "optuna.journal", "odd-nano").get_trials()
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    status, printed = shell("lab sweep odd.yaml --workers 1", folder)
    assert status == 0, printed
    assert len(Records(folder / "results").all_finished()) == 2


def test_a_launch_without_any_open_file_runs(tmp_path: Path) -> None:
    assert shell("lab sweep odd.yaml --workers 1 <&- >&- 2>&-", folder_with_sweep(tmp_path)) == (0, "")
    assert states_in_mlflow(tmp_path) == {"FINISHED"}
    assert len(Records(tmp_path / "results").all_finished()) == 2


@pytest.mark.parametrize(
    "line", [slow("status"), slow("status odd.yaml"), slow("why odd.yaml plain"), "report odd.yaml"]
)
def test_looking_needs_no_right_to_write(line: str, swept: Path) -> None:
    if subprocess.run([*NAMESPACE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this system grants no mount namespaces")
    (swept / "results" / "settings.json").unlink(missing_ok=True)
    status, printed = shell(f"{READ_ONLY} lab {line}", swept, inside=tuple(NAMESPACE))
    assert status == 0, printed
    assert "mta-lab:" not in printed
    assert not (swept / "results" / "settings.json").exists()


@pytest.mark.slow
def test_a_user_without_a_home_whom_the_system_does_not_know_trains(tmp_path: Path) -> None:
    stranger = ("unshare", "--user", "--map-user=12345", "--map-group=12345", "bash", "-c")
    if subprocess.run([*stranger, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system grants no user namespaces")
    line = "unset HOME USER LOGNAME; XDG_CACHE_HOME=$PWD lab sweep odd.yaml --workers 1"  # the kernels have a place
    status, printed = shell(line, folder_with_sweep(tmp_path), inside=stranger)
    assert status == 0, printed
    assert states_in_mlflow(tmp_path) == {"FINISHED"}
