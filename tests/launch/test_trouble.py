"""A launch amid trouble: a torn journal, a damaged checkpoint, a diverging row, a climbing name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mta_lab.lab.plan import Plan
from mta_lab.lab.texts import known_runs
from mta_lab.results.records import Failure, Record
from tests.launch.conftest import Launched, planned, run
from tests.launch.sweeps import write_sweep
from tests.scheduling.conftest import plain_study

CLIMBING, DIVERGING = "../../x", "diverging"
ROWS = {CLIMBING: {"attention": "softmax"}, DIVERGING: {"attention": "softmax", "training.learning_rate": 1e20}}


@dataclass(frozen=True)
class Story:
    """A sweep of two rows and a seed, then of two seeds after the journal was torn.

    A checkpoint was damaged, too.
    """

    folder: Path
    first: Launched
    kept: dict[Path, bytes]
    """the records after the first"""
    second: Launched
    damaged: Path
    left: Path
    """a checkpoint of a run that was finished"""


def damaged_checkpoint(plan: Plan, seed: int) -> Path:
    """Return a checkpoint that a disk may hold of the climbing row."""
    runs = known_runs(plan)
    assert runs
    (run,) = (run for run in runs if (run.row, run.seed) == (CLIMBING, seed))
    path = plan.records.checkpoints(run.fingerprint) / "000000003.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 half of a file")
    return path


@pytest.fixture(scope="module")
def story(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("trouble") / "inner" / "folder"
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        first = run(write_sweep(folder / "names.yaml", ROWS, seeds=1, data={"path": str(words)}), [], workers=1)
        kept = {path: path.read_bytes() for path in (folder / "results" / "runs").iterdir()}
        with (folder / "results" / "optuna.journal").open("ab") as journal:
            journal.write(b'{"op_code":4,"worker_id":"half a l')
        file = write_sweep(folder / "names.yaml", ROWS, seeds=2, data={"path": str(words)})
        plan = planned(file)
        left = damaged_checkpoint(plan, seed=0)  # of the finished one: its launch was killed before it was removed
        damaged = damaged_checkpoint(plan, seed=1)
        yield Story(folder, first, kept, run(file, [], workers=1), damaged, left)


def test_a_row_that_diverges_fails_with_the_step_and_the_others_finish(story: Story) -> None:
    for seed, launched in enumerate((story.first, story.second)):
        assert launched.status == 1
        (finished,) = (result for result in launched.results if isinstance(result, Record))
        assert finished.config["seed"] == seed
        failures = {result.label: result for result in launched.results if isinstance(result, Failure)}
        assert "the training loss is nan at step" in failures[f"{DIVERGING} seed {seed}"].reason
        assert f"{DIVERGING} seed {seed} FAILED: FloatingPointError: the training loss is nan" in launched.output
        assert "Traceback" not in launched.output


def test_what_was_finished_is_still_whole(story: Story) -> None:
    assert len(story.kept) == 1
    assert {path: path.read_bytes() for path in story.kept} == story.kept


def test_a_torn_journal_is_mended_and_said(story: Story) -> None:
    assert "optuna.journal: its last line was cut short, and is removed" in story.second.output
    trials = plain_study(story.folder / "results" / "optuna.journal", "names-nano").get_trials()
    complete = [trial.user_attrs["seed"] for trial in trials if trial.state.name == "COMPLETE"]
    assert complete == [0, 1]


def test_a_damaged_checkpoint_is_said_and_the_run_starts_anew(story: Story) -> None:
    assert f"{CLIMBING} seed 1 cannot use checkpoint {story.damaged} (" in story.second.output
    assert not (story.folder / story.damaged).exists()


def test_a_name_that_climbs_leaves_no_file_outside(story: Story) -> None:
    outside = [path for path in story.folder.parents[1].rglob("*") if story.folder not in (path, *path.parents)]
    assert outside == [story.folder.parent]
    assert CLIMBING in story.second.output


def test_what_a_launch_that_was_killed_left_of_a_finished_run_is_removed(story: Story) -> None:
    assert not (story.folder / story.left).parent.exists()
