"""The runs that the repository keeps are whole and small, and name no path, user or host."""

import getpass
import re
import socket
from pathlib import Path

import pytest

from mta_lab.launch.recording import record_of
from mta_lab.planning.runs import Run
from mta_lab.results.looks import used_looks
from mta_lab.results.records import Records
from mta_lab.sweep.rows import PlannedRun
from mta_lab.training.run import train
from mta_lab.workspace import LOOKS
from tests.config.helpers import config

KEPT = Path(__file__).parents[1] / "sweeps" / "results" / "records"
MOST = 20_000  # bytes of a run
PATHS = re.compile(r"(?<![\w.])(?:/(?:home|root|tmp|work|Users|mnt)/|[A-Z]:\\\\)")


@pytest.mark.skipif(not KEPT.exists(), reason="no run is kept in the repository yet")
def test_every_kept_run_can_be_used_and_is_small() -> None:
    files = [file for file in KEPT.rglob("*.*") if file != KEPT / LOOKS]
    assert files
    used_looks(KEPT)
    for file in files:
        assert file.parent == KEPT / "runs"
        Records(KEPT).check(file)
        assert file.stat().st_size < MOST
        assert not PATHS.search(file.read_text())


def test_a_record_names_no_path_user_or_host(tmp_path: Path) -> None:
    made = config(
        *("task={name: find_block, blocks: 2, letters: 2, held_out: 4}", "model.vocabulary=28", "model.width=16"),
        *("model.layers=4", "model.heads=4", "model.context=32", "training.steps=2", "training.batch_size=2"),
        *("training.warmup_steps=0", "training.validations=1"),
    )
    run = Run.of(PlannedRun(row="row", seed=0, config=made), "")
    records = Records(tmp_path)
    records.finish(record_of(run, train(made, None), run_id="", threads=1))
    text = records.file(run.fingerprint).read_text()
    assert not PATHS.search(text)
    assert str(Path.cwd()) not in text
    words = set(re.findall(r"[\w.-]+", text))
    assert not words & {socket.gethostname(), getpass.getuser()}
