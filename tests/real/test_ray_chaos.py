"""Something of a Ray cluster fails every few seconds; each run still ends once, as in peace.

Ten passes, each with other victims: `MTA_LAB_CHAOS=10 make test-real ARGS='-k ray_chaos -s'`.
"""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest

from tests.launch.sweeps import write_words
from tests.real.cluster import NEEDED, Cluster, Victim, children, cluster, raylet, strike, wait_until
from tests.real.hosts import Host
from tests.real.launches import ENOUGH, Launch, assert_as_in_peace, in_peace, prepared, written
from tests.real.test_chaos import PASSES, RUNS

pytestmark = [pytest.mark.real, *NEEDED]
VICTIMS: Sequence[Victim] = get_args(Victim)
PAUSE = (2.0, 5.0)  # seconds between two victims, at least
BETWEEN = 3  # runs that finish between them, so that a busy machine gets on, too
AWAY = 20.0  # seconds that a cable is out


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, undisturbed, on this machine."""
    words = write_words(tmp_path_factory.mktemp("words"))
    return in_peace(written(tmp_path_factory.mktemp("peace"), words, steps=60))


@dataclass
class Chaos:
    """Lets one thing after the other fail, and starts again what a real site would."""

    where: Cluster
    generator: random.Random
    begun: float = field(default_factory=time.monotonic)
    struck: list[str] = field(default_factory=list)
    away: dict[Host, float] = field(default_factory=dict)
    """hosts whose cable is out, and when it goes in again"""
    starting: dict[Host, "Future[None]"] = field(default_factory=dict)
    starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(3))

    def reign(self, launch: Launch, until: int) -> None:
        """Strike until so many runs have finished."""
        due, runs = 0.0, launch.finished() + 1
        while launch.finished() < until and launch.process.poll() is None:
            self.mend()
            if time.monotonic() > due and launch.finished() >= runs and self.strike(launch):
                due, runs = time.monotonic() + self.generator.uniform(*PAUSE), launch.finished() + BETWEEN
            time.sleep(0.05)

    def strike(self, launch: Launch) -> bool:
        """Let a node, or a part of it, fail that trains; return whether there is one."""
        changing = self.away.keys() | self.starting.keys()
        nodes = [node for node in self.where.nodes if node not in changing and children(node)]
        if not nodes:
            return False
        victim, node = self.generator.choice(VICTIMS), self.generator.choice(nodes)
        self.log(f"{victim} of", node, launch)
        with suppress(IndexError, ProcessLookupError):  # it has just ended
            strike(victim, node)
        if victim == "link":
            self.away[node] = time.monotonic() + AWAY
        return True

    def mend(self) -> None:
        """Plug cables in whose time has come, and start nodes that are gone."""
        for node in [node for node, until in self.away.items() if until < time.monotonic()]:
            del self.away[node]
            node.join()
        for node in [node for node, started in self.starting.items() if started.done()]:
            self.starting.pop(node).result()
        for node in self.where.nodes:
            if node not in self.away and node not in self.starting and not raylet(node):
                node.kill()
                self.starting[node] = self.starter.submit(self.where.start_node, node)

    def end(self) -> None:
        """Wait for nodes that are starting, and plug all cables in."""
        self.starter.shutdown()
        for node in self.away:
            node.join()

    def log(self, victim: str, of: Host, launch: Launch) -> None:
        """Print a line on a victim, the time, what it did, and what else runs."""
        self.struck.append(victim)
        busy = [(one.host, f"{one.label} at step {one.step}/{one.steps}") for one in launch.busy()]
        did = ", ".join(run for host, run in busy if host == of.name) or "nothing, or just begun"
        others = ", ".join(f"{run} on {host}" for host, run in busy if host != of.name) or "nothing"
        at = f"{time.monotonic() - self.begun:5.1f} s, {launch.finished():2d} runs finished"
        print(f"  {at}: {victim} {of.name}, which trained: {did}; elsewhere: {others}", flush=True)


@pytest.fixture(scope="module")
def where() -> Iterator[Cluster]:
    """One cluster for all passes: what one leaves behind, the next one meets."""
    with cluster() as made:
        yield made


@pytest.mark.parametrize("seed", range(PASSES))
def test_every_run_ends_once_with_the_result_it_has_in_peace(
    seed: int, where: Cluster, peace: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder, chaos = prepared(tmp_path, peace), Chaos(where, random.Random(seed))
    where.mend()
    print(f"\nseed {seed}, {time.strftime('%FT%TZ', time.gmtime())}")
    first = where.launched(folder, "first")
    request.addfinalizer(first.end)
    chaos.reign(first, until=chaos.generator.randrange(RUNS // 3, 2 * RUNS // 3))
    chaos.log("the driver, on", where.head, first)
    first.end()
    second = where.launched(folder, "second")  # at once
    request.addfinalizer(second.end)
    chaos.reign(second, until=RUNS)
    second.wait(ENOUGH)
    took, resumed = time.monotonic() - chaos.begun, first.resumed() + second.resumed()
    print(f"seed {seed}: {len(chaos.struck)} victims, {resumed} runs resumed, {took:.0f} s", flush=True)
    assert second.finished() == RUNS
    assert len(chaos.struck) >= 5
    assert_as_in_peace(folder, peace)
    chaos.end()
    wait_until(lambda: not any(map(children, where.nodes)), 60, "no worker outlives its launch")
