"""Curves that are copied to other trackers than MLflow; one that fails ends nothing."""

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.launch.events import Event, LaunchEnded, RunFinished, RunProgressed, RunStarted
from mta_lab.launch.outlook import Tally
from mta_lab.launch.trackers import check, trackers
from mta_lab.planning.runs import Run
from mta_lab.sweep import PlannedRun
from mta_lab.training.result import Progress, Validation
from tests.config.helpers import config
from tests.report.examples import example_record

SCORED = Validation(step=4, quantity="perplexity", domains={"a": 9.0, "b": 7.0})
TOLD = [
    Progress(step=2, loss=3.0, learning_rate=0.01, gradient_norm=0.5, tokens_per_second=100.0),
    Progress(step=4, loss=2.0, learning_rate=0.005, gradient_norm=0.25, tokens_per_second=101.0),
    Progress(step=4, loss=2.0, validation=SCORED),
]
RUN = Run.of(PlannedRun(row="wide/tall", seed=3, config=config("seed=3")), "text")


def launched(name: str, folder: Path, *before: Event) -> list[str]:
    """Copy a launch of one run, after some events before; return what is said of the tracker."""
    said: list[str] = []
    started, told = RunStarted(run=RUN, slot=0), [RunProgressed(run=RUN, slot=0, progress=one) for one in TOLD]
    ended = RunFinished(run=RUN, slot=0, record=example_record(RUN.fingerprint, 8.0, RUN.config))
    events: Sequence[Event] = [*before, started, *told, ended, LaunchEnded(outcome="finished")]
    (listener,) = trackers([name, name], "widths-nano", folder, said.append)
    for event in events:
        listener.hear(event, Tally([4]).outlook())
    return said


def test_csv_has_a_line_for_each_number_and_none_of_an_attempt_before(tmp_path: Path) -> None:
    before = RunStarted(run=RUN, slot=0), RunProgressed(run=RUN, slot=0, progress=TOLD[0])
    assert launched("csv", tmp_path, *before) == []
    with (tmp_path / "curves" / f"{RUN.fingerprint}.csv").open(newline="") as file:
        header, *lines = map(tuple, csv.reader(file))
    assert header == ("sweep", "row", "seed", "step", "name", "value")
    assert lines[1] == ("widths-nano", "wide/tall", "3", "2", "train/learning_rate", "0.01")
    assert [line[4:] for line in lines[4:8]] == [
        ("train/loss", "2.0"),
        ("train/learning_rate", "0.005"),
        ("train/gradient_norm", "0.25"),
        ("train/tokens_per_second", "101.0"),
    ]
    assert [line[4:] for line in lines[8:]] == [
        ("val/perplexity", "8.0"),
        ("val/perplexity/a", "9.0"),
        ("val/perplexity/b", "7.0"),
    ]


def test_a_tracker_that_fails_is_said_once_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "curves").write_text("a file in the way")
    (said,) = launched("csv", tmp_path)
    assert said.startswith("csv failed; the training goes on without it (")


def test_an_unknown_tracker_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"got 'tensor_board'; did you mean 'tensorboard'\? allowed: csv, "):
        check(["csv", "tensor_board"])


@pytest.mark.skipif(bool(find_spec("wandb")), reason="Weights & Biases is here")
def test_a_missing_library_is_said_with_what_to_install() -> None:
    with pytest.raises(UserError, match=r"^--track wandb: needs a library: pip install 'mta-lab\[wandb\]'$"):
        check(["wandb"])


@pytest.mark.real
@pytest.mark.skipif(not find_spec("tensorboard"), reason="needs: pip install 'mta-lab[tensorboard]'")
def test_tensorboard_has_curves_and_settings_beside_the_score(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert launched("tensorboard", tmp_path) == []
    (folder,) = (tmp_path / "tensorboard" / "widths-nano").iterdir()
    found = EventAccumulator(str(folder)).Reload()
    assert [(one.step, one.value) for one in found.Scalars("train/gradient_norm")] == [(2, 0.5), (4, 0.25)]
    assert [one.value for one in found.Scalars("val/perplexity/b")] == [7.0]
    assert found.PluginTagToContent("hparams")


@pytest.mark.real
@pytest.mark.skipif(not find_spec("wandb"), reason="needs: pip install 'mta-lab[wandb]'")
def test_weights_and_biases_has_runs_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent, and `wandb sync` finds the folders."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "")
    import wandb

    assert launched("wandb", tmp_path) == []
    wandb.teardown()  # its own process writes on for a moment
    (*_, last) = sorted((tmp_path / "wandb").glob(f"offline-run-*-{RUN.fingerprint}"))
    content = next(last.glob("*.wandb")).read_bytes()
    for text in ("train/gradient_norm", "val/perplexity/b", "wide/tall seed 3", "widths-nano"):
        assert text.encode() in content
