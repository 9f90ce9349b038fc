"""The words to Slurm, and its answers; its programs are scripts here."""

import os
import subprocess
from pathlib import Path

import pytest

from mta_lab.children import python
from mta_lab.errors import UserError
from mta_lab.executors.slurm.array import Array, asks_for_gpus, check, reached_at

COMMAND = ["/opt/my env/python", "-m", "element", "10.0.0.1:6379"]


class Programs:
    """Programs of Slurm, which write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer("sbatch", "echo '12;cluster'")
        self.answer("scancel", ":")

    def answer(self, name: str, commands: str) -> None:
        told = f'printf "%s\\n" "$@" > {self.folder}/{name}.options; env > {self.folder}/{name}.environment'
        script = self.folder / name
        script.write_text(f"#!/bin/sh\n{told}\ncat > {self.folder}/{name}.script\n{commands}\n")
        script.chmod(0o755)

    def options(self, name: str) -> list[str]:
        return (self.folder / f"{name}.options").read_text().splitlines()

    def told(self, name: str) -> str:
        """Return all that a program was told: options, environment, script."""
        return "".join((self.folder / f"{name}.{kind}").read_text() for kind in ("options", "environment", "script"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return Programs(folder)


@pytest.fixture
def array(tmp_path: Path) -> Array:
    return Array(tmp_path / "results")


def test_a_job_for_each_worker_is_submitted_with_the_options_as_they_are(programs: Programs, array: Array) -> None:
    array.submit(16, {"partition": "gpu", "time": "12:00:00", "exclusive": "", "export": "A=1,B=2"}, COMMAND)
    options = programs.options("sbatch")
    asked = ["--partition=gpu", "--time=12:00:00", "--exclusive", "--export=A=1,B=2"]
    assert [option for option in options if option in asked] == asked
    assert {"--array=1-16", "--nodes=1", "--ntasks=1", "--requeue", "--parsable"} <= {*options}
    assert (programs.folder / "sbatch.script").read_text() == (
        "#!/bin/sh\nexec '/opt/my env/python' -m element 10.0.0.1:6379\n"
    )
    assert array.number == "12"


def test_an_option_of_the_user_stands_in_place_of_the_usual_one(programs: Programs, array: Array) -> None:
    array.submit(1, {"job-name": "mine", "cpus-per-task": "8"}, COMMAND)
    options = programs.options("sbatch")
    assert [option for option in options if option.startswith("--job-name")] == ["--job-name=mine"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("array", "each worker is a job on one host, and --workers says how many there are"),
        ("wait", "the launch needs to hear the number of its jobs"),
        ("p", "allowed: a long option of sbatch, like partition=gpu or exclusive"),
        ("a b", "allowed: a long option of sbatch, like partition=gpu or exclusive"),
    ],
)
def test_an_option_that_leaves_no_choice_is_refused(key: str, said: str) -> None:
    with pytest.raises(UserError, match=f"--slurm: got '{key}', (but )?{said}"):
        check({key: "1"})


def test_what_slurm_refuses_is_said_in_its_words(programs: Programs, array: Array) -> None:
    programs.answer("sbatch", "echo 'sbatch: error: invalid partition specified: gpuu' >&2; exit 1")
    with pytest.raises(UserError, match=r"^--launcher slurm: sbatch: invalid partition specified: gpuu$"):
        array.submit(1, {"partition": "gpuu"}, COMMAND)
    assert not array.number


def test_where_slurm_is_missing_one_line_says_so(array: Array, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no `sbatch` here; start on a host of the cluster"):
        array.submit(1, {}, COMMAND)


def test_slurm_keeps_no_secret(programs: Programs, array: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush-1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hush-2")
    monkeypatch.setenv("WANDB_API_KEY", "hush-3")
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "ib0")
    array.submit(1, {}, COMMAND)
    told = programs.told("sbatch")
    assert "hush" not in told
    assert "NCCL_SOCKET_IFNAME=ib0" in told


def test_the_jobs_of_a_launch_that_was_killed_are_cancelled_by_the_next(programs: Programs, tmp_path: Path) -> None:
    Array(tmp_path).submit(4, {}, COMMAND)
    again = Array(tmp_path)
    again.cancel()
    assert programs.options("scancel")[-1] == "12"
    assert not again.number
    (programs.folder / "scancel.options").unlink()
    again.cancel()
    assert not (programs.folder / "scancel.options").exists()


def test_jobs_are_gone_when_slurm_says_so(programs: Programs, array: Array) -> None:
    array.submit(3, {}, COMMAND)
    programs.answer("squeue", "echo 12; echo 120")
    assert not array.is_gone()
    programs.answer("squeue", "echo 120")
    assert array.is_gone()
    programs.answer("squeue", "exit 1")
    assert not array.is_gone()


def test_this_machine_is_reached_at_the_address_of_the_way_to_the_cluster(programs: Programs) -> None:
    programs.answer("sinfo", "echo nowhere.invalid; echo 127.0.0.1")
    assert reached_at() == "127.0.0.1"


def test_a_machine_without_a_cluster_is_told_where_to_start(programs: Programs) -> None:
    programs.answer("sinfo", "echo 'sinfo: error: Unknown host' >&2; exit 1")
    with pytest.raises(UserError, match="sinfo: Unknown host; start on a host of the cluster"):
        reached_at()


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"gpus": "1"}, True),
        ({"gpus-per-task": "a100:2"}, True),
        ({"gres": "gpu:1"}, True),
        ({"gres": "scratch:1", "partition": "gpu"}, False),
    ],
)
def test_jobs_have_gpus_where_their_options_ask_for_some(options: dict[str, str], asked: bool) -> None:
    assert asks_for_gpus(options) == asked


START = """
import signal, sys
from pathlib import Path
from mta_lab.executors.local.messages import Setup
from mta_lab.executors.local.worker import Worker

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    worker = Worker(0, Setup(components=(), threads=1), Path(sys.argv[1]), work=print)
    worker.process.join()
    print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_who_starts_a_worker_in_a_job_goes_on_blocking_slurms_signal(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(START)
    told = subprocess.run(
        python(str(tmp_path / "start.py"), str(tmp_path)), capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.splitlines()[-1] == "True"
