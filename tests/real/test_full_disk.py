"""A full disk below the results: one line each, and nothing that was finished is lost.

The disk is a small tmpfs in a mount namespace of the test's own, which Linux grants a user without
rights.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.launch.sweeps import write_sweep
from tests.real.test_dashboard import COMMAND, environment

pytestmark = pytest.mark.real
ROWS = {"plain": {"attention": "softmax"}, "talking": {"attention": "talking_heads"}}
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-euc"]
STORY = """
mount -t tmpfs -o size=300k none results
"$@" --seeds 10 2> full || echo $? > full.status
mkdir kept && cp results/runs/*.json kept
mount -o remount,size=50m results
"$@" --seeds 10
for file in kept/*; do cmp $file results/runs/${file#kept/}; done
ls results/runs/*.json | wc -l > finished
mount -o remount,ro results
"$@" --seeds 11 2> unwritable || echo $? > unwritable.status
"""


def test_a_disk_that_takes_nothing_ends_the_launch_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    if subprocess.run([*NAMESPACE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this system grants no mount namespaces")
    write_sweep(tmp_path / "heads.yaml", ROWS, data={"corpus": "stdlib"})
    prepare = [*COMMAND, "data", "prepare", "data.corpus=stdlib", "model.vocabulary=300"]
    subprocess.run(prepare, cwd=tmp_path, env=environment(), check=True, timeout=120)
    (tmp_path / "results").mkdir()
    told = subprocess.run(
        [*NAMESPACE, STORY, "bash", *COMMAND, "sweep", "heads.yaml", "--workers", "2"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "Traceback" not in told.stdout
    said = {
        name: (tmp_path / name).read_text()
        for name in ("full", "full.status", "finished", "unwritable", "unwritable.status")
    }
    assert said["full.status"] == said["unwritable.status"] == "2\n"
    full = r"mta-lab: results/\S+: cannot be written: No space left on device; .* the same command goes on from there\n"
    assert re.fullmatch(full, said["full"])
    unwritable = r"mta-lab: \S*results/launch.lock: cannot be written: Read-only file system\n"
    assert re.fullmatch(unwritable, said["unwritable"])
    assert 0 < len(list((tmp_path / "kept").iterdir())) < 20
    assert said["finished"] == "20\n"
