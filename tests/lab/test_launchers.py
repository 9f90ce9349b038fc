"""The options of a launch: typed, or in the workspace's `launcher.yaml`."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from mta_lab.errors import UserError
from mta_lab.executors.launchers import LOCAL, Launcher
from mta_lab.lab.launchers import launcher_of
from mta_lab.lab.placing import gpus_of


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace where Ray is installed, as far as anybody looks."""
    monkeypatch.chdir(tmp_path)
    ray = ModuleType("ray")
    ray.__spec__ = __spec__
    monkeypatch.setitem(sys.modules, "ray", ray)
    return tmp_path


def test_runs_train_here_where_nothing_is_said() -> None:
    assert launcher_of() == LOCAL
    assert not LOCAL.elsewhere
    assert LOCAL.options == ""


def test_what_is_typed_stands_above_the_file(workspace: Path) -> None:
    (workspace / "launcher.yaml").write_text("launcher: ray\naddress: 10.0.0.1:6379\nworkers: 16\n")
    assert launcher_of() == Launcher(launcher="ray", address="10.0.0.1:6379", workers=16)
    found = launcher_of(workers=4, threads=2)
    assert found == Launcher(launcher="ray", address="10.0.0.1:6379", workers=4, threads=2)
    assert found.elsewhere
    assert replace(found, workers=None).options == " --launcher ray --address 10.0.0.1:6379 --threads 2"
    assert found.options == " --launcher ray --address 10.0.0.1:6379 --workers 4 --threads 2"


def test_another_launcher_that_is_typed_has_nothing_from_the_file(workspace: Path) -> None:
    (workspace / "launcher.yaml").write_text("launcher: ray\naddress: 10.0.0.1:6379\nworkers: 16\nthreads: 4\n")
    assert launcher_of("local") == LOCAL
    assert launcher_of("slurm", 2) == Launcher(launcher="slurm", workers=2)
    assert launcher_of("ray").address == "10.0.0.1:6379"


def test_options_of_sbatch_are_passed_as_they_are(workspace: Path) -> None:
    (workspace / "launcher.yaml").write_text(
        "launcher: slurm\nworkers: 2\nslurm: {partition: cpu, time: 12:00:00, nice: 5, exclusive: true}\n"
    )
    found = launcher_of(slurm=["partition=gpu", "--gres=gpu:h100=1", "requeue"])
    assert found.slurm == {
        "partition": "gpu",
        "time": "12:00:00",
        "nice": "5",
        "exclusive": "",
        "gres": "gpu:h100=1",
        "requeue": "",
    }
    assert found.options.endswith(" --slurm exclusive --slurm gres=gpu:h100=1 --slurm requeue")


def test_a_cluster_gives_its_own_devices() -> None:
    found = launcher_of("ray", 2, "head:6379")
    assert gpus_of(None, found) == ()
    with pytest.raises(UserError, match="--devices: names GPUs of this machine"):
        gpus_of("0", found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lancher: ray", "launcher.yaml: no key named 'lancher'; did you mean 'launcher'?"),
        ("launcher: kubernetes", "launcher.yaml: launcher: got 'kubernetes', allowed: 'local' or 'ray' or 'slurm'"),
        ("workers: many", "launcher.yaml: workers: got 'many', allowed: a whole number or null"),
        ("workers: 0", "launcher.yaml: workers: got 0, allowed: 1 or more"),
        ("threads: -2", "launcher.yaml: threads: got -2, allowed: 1 or more"),
        ("slurm: {array: 1-4}", "launcher.yaml: slurm: got 'array', but each worker is a job"),
        ("slurm: {Time: 1}", "launcher.yaml: slurm: got 'Time', allowed: a long option of sbatch"),
        ("slurm: gpu", "launcher.yaml: slurm: got 'gpu', allowed: a mapping"),
        ("slurm: {exclusive: false}", "launcher.yaml: slurm.exclusive: got False, allowed: a text, a number, or true"),
        ("slurm: {partition: null}", "launcher.yaml: slurm.partition: got None, allowed: a text, a number, or true"),
        ("slurm: {gres: [a, b]}", "launcher.yaml: slurm.gres: got ['a', 'b'], allowed: a text, a number, or true"),
        ("slurm: {gres: {gpu: 1}}", "launcher.yaml: slurm.gres: got {'gpu': 1}, allowed: a text, a number, or true"),
        ("- ray", "launcher.yaml: got ['ray'], allowed: keys with values, a line each, like KEY: VALUE"),
    ],
)
def test_a_file_that_says_something_else_is_refused(text: str, said: str, workspace: Path) -> None:
    (workspace / "launcher.yaml").write_text(text)
    with pytest.raises(UserError) as refused:
        launcher_of()
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"launcher": "kubernetes"}, "--launcher: got 'kubernetes', allowed: 'local' or 'ray' or 'slurm'"),
        ({"address": "head:6379"}, "--address: names the head of a Ray cluster, beside --launcher ray"),
        ({"slurm": ["partition=gpu"]}, "--slurm: holds options of sbatch, beside --launcher slurm"),
        ({"launcher": "slurm", "workers": 1, "slurm": ["=gpu"]}, "--slurm: got '=gpu', allowed: KEY=VALUE"),
        ({"launcher": "slurm", "workers": 1, "slurm": ["array=1-4"]}, "--slurm: got 'array', but each worker is a job"),
        ({"threads": 2}, "--threads: is of a cluster"),
        ({"launcher": "ray", "address": "head:6379"}, "--workers: is needed on a cluster"),
    ],
)
def test_an_option_of_another_launcher_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as refused:
        launcher_of(**options)  # type: ignore[arg-type]
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_without_ray_a_line_says_what_to_type(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=rf"^--launcher {launcher}: needs Ray: pip install 'mta-lab\[ray\]'$"):
        launcher_of(launcher, 1)
