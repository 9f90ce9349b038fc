"""A Slurm of pretended hosts."""

import time

import pytest

from tests.real.hosts import inside
from tests.real.slurm import NEEDED, slurm

pytestmark = [pytest.mark.real, *NEEDED]


def test_jobs_run_on_every_node_and_nothing_is_left() -> None:
    with slurm() as made:
        made.ask("sbatch", "--array=1-3", "--exclusive", "--output=/dev/null", "--wrap=sleep 60")
        end = time.monotonic() + 60
        while {(state, node) for _, state, node in made.jobs()} != {("RUNNING", node.name) for node in made.nodes}:
            assert time.monotonic() < end, made.jobs()
            time.sleep(0.1)
        assert inside(made.head.namespace)
    assert not made.folder.exists()
    with pytest.raises(FileNotFoundError):
        inside(made.head.namespace)
