"""A sweep on a Slurm of pretended hosts: jobs are requeued, a host goes down, the launch ends.

Each ends with every run once, with the numbers that the sweep has on this machine, to the bit, and
with nothing in the queue. Three passes with two requeues: `MTA_LAB_CHAOS=3 make test-real
ARGS='-k slurm -s'`.
"""

import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.sweeps import write_words
from tests.real.cluster import WITH_RAY, children, wait_until
from tests.real.hosts import Host, inside
from tests.real.launches import Launch, assert_as_in_peace, in_peace, prepared, written
from tests.real.slurm import NEEDED, Slurm, slurm
from tests.real.test_chaos import PASSES, RUNS
from tests.real.test_dashboard import COMMAND

pytestmark = [pytest.mark.real, *NEEDED, WITH_RAY]
PAGE = Path(__file__).parents[2] / "docs/clusters.md"
ENOUGH = 600.0  # seconds in which such a sweep is over on a busy machine, too
SECRET = "hush-hush"
SLURMS_OWN = ("slurmctld", "slurmd", "slurmstepd")


def test_jobs_run_on_every_node_and_nothing_is_left() -> None:
    with slurm() as made:
        made.ask("sbatch", "--array=1-3", "--exclusive", "--output=/dev/null", "--wrap=sleep 60")
        everywhere = {("RUNNING", node.name) for node in made.nodes}
        wait_until(lambda: {(state, node) for _, state, node in made.jobs()} == everywhere, 60, "jobs run")
    assert not made.folder.exists()
    with pytest.raises(FileNotFoundError):
        inside(made.head.namespace)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def peace(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, undisturbed, on this machine."""
    return in_peace(written(tmp_path_factory.mktemp("peace"), words, drops=(0.1,), seeds=1, steps=200))


@pytest.fixture(scope="module")
def long_peace(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep of many runs, undisturbed, on this machine."""
    return in_peace(written(tmp_path_factory.mktemp("long_peace"), words, steps=60))


@pytest.fixture(scope="module")
def shared() -> Iterator[Slurm]:
    """A Slurm of three nodes for all tests."""
    with slurm() as made:
        yield made


@pytest.fixture
def where(shared: Slurm) -> Iterator[Slurm]:
    """It, with all its nodes; no test leaves a job in its queue."""
    shared.mend()
    yield shared
    wait_until(lambda: not shared.jobs(), ENOUGH, "the queue is empty")
    assert not [child for node in shared.nodes for child in children(node)]


@pytest.fixture
def folder(tmp_path: Path, peace: Path) -> Path:
    return prepared(tmp_path, peace)


def launch(where: Slurm, folder: Path, name: str = "launch", *options: str) -> Launch:
    """The sweep, launched on the first host, with three jobs."""
    words = ("--launcher", "slurm", "--workers", "3", *(options or ("--slurm", "exclusive")))
    return Launch.started(folder, name, *words, command=where.head.command(*COMMAND), variables=where.environment)


def training(where: Slurm, started: Launch) -> Host:
    """Wait until a run is under way on a node, as the launch tells; return that."""
    found: list[Host] = []

    def look() -> bool:
        assert started.process.poll() is None, started.said()
        busy = {one.host for one in started.busy() if one.step}
        found[:] = [node for node in where.nodes if node.name in busy]
        return bool(found)

    wait_until(look, ENOUGH, "a node trains")
    return found[-1]


def job_on(where: Slurm, node: Host) -> str:
    """Return the name of the job that runs on a node."""
    (job,) = [name for name, state, host in where.jobs() if state == "RUNNING" and host == node.name]
    return job


def test_the_command_of_the_page_does_what_it_says(where: Slurm, folder: Path, peace: Path) -> None:
    """Word for word but for the sweep; Slurm knows of GPUs, and runs train on the CPU."""
    section = PAGE.read_text(encoding="utf-8").partition("## A Slurm cluster\n")[2].partition("\n## ")[0]
    (line,) = [line for line in section.splitlines() if line.startswith("mta-lab sweep my_sweep.yaml ")]
    started = Launch.started(
        folder, "launch", *line.split()[3:], command=where.head.command(*COMMAND), variables=where.environment
    )
    wait_until(lambda: 2 in [len(children(node)) for node in where.nodes], ENOUGH, "two jobs share a host")
    started.wait(ENOUGH)
    assert "its place was lost" not in started.said()
    assert not where.jobs()
    assert_as_in_peace(folder, peace)


def test_the_doctor_of_the_page_finds_nothing_wrong(where: Slurm, tmp_path: Path) -> None:
    (line,) = re.findall(r"^mta-lab (doctor --launcher slurm .*?)  +#", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    command = where.head.command(*COMMAND, *line.split(), "--wait", "10m")
    told = subprocess.run(
        command, cwd=tmp_path, env=where.environment, capture_output=True, text=True, timeout=ENOUGH, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert not where.jobs()


def test_slurm_is_told_no_secret_and_jobs_listen_where_the_launch_does_and_end_without_it(
    where: Slurm, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PASSWORD", SECRET)
    started = launch(where, folder)
    wait_until(lambda: [state for _, state, _ in where.jobs()] == ["RUNNING"] * 3, ENOUGH, "jobs run")
    token = (folder / "results" / "ray.token").read_text()
    kept = [file.read_bytes() for file in where.folder.rglob("*") if file.is_file()]
    assert any(b"mta_lab.executors.slurm.element" in file for file in kept)
    assert not [file for file in kept if token.encode() in file or SECRET.encode() in file]
    training(where, started)
    assert [host.beyond(but=SLURMS_OWN) for host in (where.head, *where.nodes)] == [[]] * 4
    started.end()
    took = wait_until(lambda: not where.jobs(), ENOUGH, "the queue is empty")
    print(f"the queue is empty {took:.0f} s after the launch was killed")


def test_runs_of_a_requeued_job_go_on_elsewhere(where: Slurm, folder: Path, peace: Path) -> None:
    started = launch(where, folder)
    node = training(where, started)
    where.ask("scontrol", "requeue", job_on(where, node))
    wait_until(lambda: not children(node), ENOUGH, "the job has ended")
    started.wait(ENOUGH)
    assert started.resumed()
    assert "tried again" not in started.said(), "its run had been kept"
    assert_as_in_peace(folder, peace)


def test_a_job_whose_time_is_nearly_over_keeps_its_run_and_is_requeued(where: Slurm, folder: Path, peace: Path) -> None:
    started = launch(where, folder)
    node = training(where, started)
    where.ask("scancel", "--batch", "--signal=USR1", job := job_on(where, node))
    wait_until(lambda: (job, "PENDING", "") in where.jobs(), ENOUGH, "it waits again")
    started.wait(ENOUGH)
    assert "tried again" not in started.said(), "its run had been kept"
    assert_as_in_peace(folder, peace)


def test_runs_of_a_host_that_is_down_go_on_elsewhere(where: Slurm, folder: Path, peace: Path) -> None:
    started = launch(where, folder)
    node = training(where, started)
    node.kill()
    started.wait(ENOUGH)
    assert started.tried_again()
    assert_as_in_peace(folder, peace)


def test_a_launch_that_is_interrupted_gives_the_hosts_back_and_goes_on_later(
    where: Slurm, folder: Path, peace: Path
) -> None:
    first = launch(where, folder, "first")
    training(where, first)
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(timeout=ENOUGH) == 130, first.said()
    wait_until(lambda: not where.jobs(), ENOUGH, "the queue is empty")
    second = launch(where, folder, "second")
    second.wait(ENOUGH)
    assert second.resumed()
    assert_as_in_peace(folder, peace)


def test_a_launch_that_was_killed_goes_on_at_once(where: Slurm, folder: Path, peace: Path) -> None:
    first = launch(where, folder, "first")
    training(where, first)
    first.end()
    second = launch(where, folder, "second")
    second.wait(ENOUGH)
    assert second.resumed()
    assert not where.jobs()
    assert_as_in_peace(folder, peace)


def test_what_slurm_refuses_is_one_line(where: Slurm, folder: Path) -> None:
    started = launch(where, folder, "launch", "--slurm", "partition=gpuu")
    assert started.process.wait(timeout=ENOUGH) == 2
    (line,) = [line for line in started.said().splitlines() if line.startswith("mta-lab: ")]
    assert "invalid partition specified: gpuu" in line
    assert "Traceback" not in started.said()


@pytest.mark.parametrize("seed", range(PASSES))
def test_with_two_requeues_every_run_ends_once_as_in_peace(
    seed: int, where: Slurm, long_peace: Path, tmp_path: Path
) -> None:
    folder, generator = prepared(tmp_path, long_peace), random.Random(seed)
    begun = time.monotonic()
    started = launch(where, folder)
    for until in sorted(generator.sample(range(2, RUNS - 20), 2)):
        wait_until(lambda until=until: started.finished() >= until, ENOUGH, f"{until} runs are finished")
        job, host = generator.choice([(name, host) for name, state, host in where.jobs() if state == "RUNNING"])
        where.ask("scontrol", "requeue", job)
        at = f"{time.monotonic() - begun:.1f} s, {started.finished()} runs"
        print(f"seed {seed}, {at}: job {job} on {host} is requeued")
    started.wait(ENOUGH)
    print(f"seed {seed}: ended after {time.monotonic() - begun:.1f} s, {started.resumed()} resumed")
    assert_as_in_peace(folder, long_peace)
