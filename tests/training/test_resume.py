"""A run that is interrupted and goes on ends as any other, to the bit; damage is said."""

import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from components.registry import FAMILIES
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.training import InterruptedRunError, Progress, TrainingResult, keeping
from mta_lab.training.checkpoints import KEPT, Checkpoints
from mta_lab.training.run import train
from tests.training import test_synthetic
from tests.training.conftest import Configure
from tests.training.recorder import recording

VARIANTS = FAMILIES["attention"].names()
STEPS, EVERY = 12, 4  # optimizer steps of a run; steps between its validations
LENGTHS = {"training.steps": STEPS, "training.validations": STEPS // EVERY, "training.deterministic": True}


@dataclass
class Whole:
    """A run from its start to its end, in however many parts."""

    result: TrainingResult
    weights: dict[str, Tensor]
    heard: list[Progress]
    """what the last part told"""
    said: list[str]
    """what all parts said of their checkpoints"""


def stopping_at(moment: int) -> Callable[[], bool]:
    """Asks for the interruption when it is consulted for the `moment`-th time, from 0.

    It is consulted before each step or batch.
    """
    consulted = iter(range(1 << 20))
    return lambda: next(consulted) == moment


def run(config: RunConfig, corpus: Corpus | None, directory: Path, moments: tuple[int, ...] = ()) -> Whole:
    """Train, interrupted once at each of the moments, each counted from where its part starts."""
    said: list[str] = []
    stopped: list[str] = []
    parts: list[Callable[[], bool]] = [*map(stopping_at, moments), lambda: False]
    for interrupted in parts:
        heard: list[Progress] = []
        with recording() as seen:
            try:
                result = train(
                    config, corpus, lambda progress, to=heard: bool(to.append(progress)),
                    checkpoints=Checkpoints(directory), interrupted=interrupted, say=said.append,
                )  # fmt: skip
            except InterruptedRunError as error:
                stopped.append(f"resumed at step {error.step}")
                torch.rand(7)  # whatever else the process draws has no part in it
                continue
        assert seen.model is not None
        assert interrupted is parts[-1], "it ended before it could be interrupted"
        assert [text for text in said if text.startswith("resumed")] == stopped or not moments
        return Whole(result, seen.model.state_dict(), heard, said)
    raise AssertionError


def same(one: Whole, other: Whole) -> None:
    """All that a run comes to is equal, not close."""
    assert one.result.losses == other.result.losses
    assert one.result.validations == other.result.validations
    assert one.heard == other.heard  # from its start, whichever part is listened to
    assert one.weights.keys() == other.weights.keys()
    assert [name for name, value in one.weights.items() if not torch.equal(value, other.weights[name])] == []


def runs(configure: Configure, corpus: Corpus, task: str) -> tuple[Callable[..., RunConfig], Corpus | None]:
    return (configure, corpus) if task == "language" else (test_synthetic.configure, None)


ALWAYS = [("language", variant) for variant in VARIANTS] + [("find_block", "multi_token")]
SIBLINGS = [pytest.param("find_block", name, marks=pytest.mark.slow) for name in VARIANTS if name != "multi_token"]


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(("task", "variant"), [*ALWAYS, *SIBLINGS])
def test_every_variant_goes_on_exactly(
    configure: Configure, corpus: Corpus, tmp_path: Path, variant: str, task: str
) -> None:
    """Three interruptions at random, between steps or inside a validation."""
    make, text = runs(configure, corpus, task)
    config = make({**LENGTHS, "model.layers": 4, "attention": {"name": variant, "dropout": 0.1}})
    whole = run(config, text, tmp_path / "whole")
    generator = random.Random(f"{variant} {task}")
    moments = tuple(generator.randrange(1, 7) for _ in range(3))
    parts = run(config, text, tmp_path / "parts", moments)
    assert len([text for text in parts.said if text.startswith("resumed at step")]) == 3
    same(parts, whole)


@pytest.fixture(scope="module")
def plain(configure: Configure, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The run of the tests below, uninterrupted."""
    return run(dropping(configure), corpus, tmp_path_factory.mktemp("plain"))


def dropping(configure: Configure, **settings: Any) -> RunConfig:
    return configure({**LENGTHS, "attention": {"name": "softmax", "dropout": 0.1}, **settings})


MOMENTS = {  # steps 1-4 come after the moments 0-3, six batches of a validation after 4-9, step 5 after 10
    "before the first step": 0,
    "in warm-up": 2,
    "before a validation": 4,
    "inside a validation": 6,
    "after a validation": 10,
    "before the last step": 23,
    "after the last step": 24,
    "in the last batch": 29,
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_it_can_be_interrupted_anywhere(
    configure: Configure, corpus: Corpus, tmp_path: Path, plain: Whole, moment: int
) -> None:
    same(run(dropping(configure), corpus, tmp_path / "run", (moment,)), plain)


def test_the_moments_are_what_they_are_called(configure: Configure, corpus: Corpus) -> None:
    consulted: list[int] = []
    with recording() as seen:
        train(dropping(configure), corpus, interrupted=lambda: bool(consulted.append(len(seen.batches))))
    assert consulted == [0, 1, 2, 3, *[4] * 6, 4, 5, 6, 7, *[8] * 6, 8, 9, 10, 11, *[12] * 6]


def test_the_same_moment_again_and_again(configure: Configure, corpus: Corpus, tmp_path: Path, plain: Whole) -> None:
    """Each part does two steps at most, and a validation is begun several times."""
    same(run(dropping(configure), corpus, tmp_path / "run", (2, 2, 2, 0, 0, 5, 2, 3)), plain)


@pytest.mark.parametrize("moment", [6, 14, 16])
def test_steps_that_validations_do_not_divide(
    configure: Configure, corpus: Corpus, tmp_path: Path, moment: int
) -> None:
    """The validation at the end comes after the training, and can be interrupted, too."""
    config = dropping(configure, **{"training.steps": 7, "training.validations": 2})
    same(run(config, corpus, tmp_path / "parts", (moment,)), run(config, corpus, tmp_path / "whole"))


def test_means_since_the_last_report_span_the_interruption(
    configure: Configure, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.training.run.REPORTS", 4)
    config = dropping(configure)
    parts = run(config, corpus, tmp_path / "parts", (2, 3))
    assert [step for step, _ in parts.result.losses] == [3, 6, 9, 12]
    same(parts, run(config, corpus, tmp_path / "whole"))


def test_time_counts_in_all_parts(configure: Configure, corpus: Corpus, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with pytest.raises(InterruptedRunError):
        train(dropping(configure), corpus, checkpoints=Checkpoints(directory), interrupted=stopping_at(3))
    kept = Checkpoints(directory).latest(print)
    assert kept is not None
    result = train(dropping(configure), corpus, checkpoints=Checkpoints(directory))
    assert result.training_seconds > kept.progress_callback["training_seconds"] > 0
    assert result.seconds > kept.seconds > 0
    assert len(kept.progress_callback["step_times"]) == kept.step
    assert result.tokens_per_second == pytest.approx(STEPS * 4 * 16 / result.training_seconds)


@pytest.fixture(scope="module")
def kept(configure: Configure, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what a run leaves that kept each step and was stopped before its fourth."""
    directory = tmp_path_factory.mktemp("kept") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "INTERVAL", 0.0)
        patch.setattr(keeping, "SHARE", float("inf"))
        with pytest.raises(InterruptedRunError) as caught:
            train(dropping(configure), corpus, checkpoints=Checkpoints(directory), interrupted=stopping_at(3))
    assert caught.value.step == 3
    return directory


def copied(kept: Path, directory: Path) -> list[Path]:
    """The checkpoints of `kept` in another directory of its name."""
    shutil.copytree(kept, directory)
    return sorted(directory.iterdir())


def spoil(path: Path, how: str, directory: Path) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "a bit":
        with zipfile.ZipFile(path) as file:
            largest = max(file.infolist(), key=lambda entry: entry.file_size)  # there is padding between entries
        content = bytearray(path.read_bytes())
        content[largest.header_offset + largest.file_size // 2] ^= 1
        path.write_bytes(content)
    elif how == "another run's":
        state = Checkpoints(directory).latest(print)
        assert state is not None
        torch.save({**vars(state), "fingerprint": "another"}, path)
    elif how == "another version's":
        torch.save({"fingerprint": directory.name}, path)
    else:
        torch.save(Path("a pickled object"), path)


@pytest.mark.parametrize("how", ["truncated", "empty", "a bit", "another run's", "another version's", "a pickle"])
def test_a_bad_checkpoint_falls_back_to_the_one_before(
    configure: Configure, corpus: Corpus, tmp_path: Path, kept: Path, plain: Whole, how: str
) -> None:
    directory = tmp_path / "run"
    paths = copied(kept, directory)
    assert [path.name for path in paths] == ["000000002.ckpt", "000000003.ckpt"]
    assert len(paths) == KEPT
    spoil(paths[1], how, directory)
    going_on = run(dropping(configure), corpus, directory)
    assert going_on.said[0].startswith(f"cannot use checkpoint {paths[1]} (")
    assert going_on.said[1:] == ["resumed at step 2"]
    assert all("\n" not in text for text in going_on.said)
    same(going_on, plain)


def test_without_a_good_one_it_starts_anew(
    configure: Configure, corpus: Corpus, tmp_path: Path, kept: Path, plain: Whole
) -> None:
    directory = tmp_path / "run"
    for path in copied(kept, directory):
        spoil(path, "truncated", directory)
    anew = run(dropping(configure), corpus, directory)
    assert len(anew.said) == 2
    same(anew, plain)


def test_a_directory_that_takes_no_checkpoint_ends_no_run(
    configure: Configure, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Whole
) -> None:
    monkeypatch.setattr(keeping, "INTERVAL", 0.0)
    (tmp_path / "file").touch()
    going_on = run(dropping(configure), corpus, tmp_path / "file" / "run")
    assert going_on.said[0].startswith(f"cannot keep a checkpoint in {tmp_path / 'file' / 'run'} (")
    same(going_on, plain)
