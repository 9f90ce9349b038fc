"""Workers are killed every few seconds, the launch once; each run still ends once, as in peace.

Ten passes, each with other victims: `MTA_LAB_CHAOS=10 make test-real ARGS='-k chaos -s'`.
"""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.launch.processes import wait_for_workers, workers_of
from tests.launch.sweeps import write_words
from tests.real.launches import Launch, assert_as_in_peace, in_peace, prepared, written

pytestmark = pytest.mark.real
PASSES = int(os.environ.get("MTA_LAB_CHAOS", "1"))
RUNS = 60
PAUSE = (4.0, 8.0)  # seconds between two kills, at least


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, undisturbed."""
    words = write_words(tmp_path_factory.mktemp("words"))
    return in_peace(written(tmp_path_factory.mktemp("peace"), words, steps=60))


def kill_workers(launch: Launch, generator: random.Random, until: int = RUNS) -> int:
    """Kill one worker after the other until that many runs have finished; how many it were.

    A run finishes between two of them, so that the sweep gets on however slow the machine is.
    """
    killed, due, before = 0, 0.0, launch.finished()
    while launch.finished() < until and launch.process.poll() is None:
        victims = workers_of(launch.process.pid)
        if time.monotonic() > due and launch.finished() > before and victims:
            with suppress(ProcessLookupError):
                os.kill(generator.choice(victims), signal.SIGKILL)
                killed += 1
            due, before = time.monotonic() + generator.uniform(*PAUSE), launch.finished()
        time.sleep(0.05)
    return killed


@pytest.mark.parametrize("seed", range(PASSES))
def test_every_run_ends_once_with_the_result_it_has_in_peace(seed: int, peace: Path, tmp_path: Path) -> None:
    generator, begun = random.Random(seed), time.monotonic()
    folder = prepared(tmp_path, peace)
    first = Launch.started(folder, "first", "--workers", "4")
    killed = kill_workers(first, generator, until=generator.randrange(RUNS // 3, 2 * RUNS // 3))
    first.process.kill()
    assert first.process.wait() == -signal.SIGKILL, first.said()
    before = first.finished()
    second = Launch.started(folder, "second", "--workers", "4")  # while workers of the first may still be at theirs
    killed += kill_workers(second, generator)
    second.wait(120)
    wait_for_workers(first.process.pid)
    took, resumed = time.monotonic() - begun, first.resumed() + second.resumed()
    print(f"seed {seed}: {killed} workers killed, the launch at {before} runs, {resumed} resumed, {took:.0f} s")
    assert second.finished() == RUNS
    assert killed >= 3
    assert_as_in_peace(folder, peace)
