"""A launch whose runs learn a synthetic task: no text is prepared; scores are error rates."""

from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.drawing import attention_panels, kernel_panels, write_picture
from mta_lab.lab.trained import find_run, reading_for
from mta_lab.model import build_model
from mta_lab.pictures.trained import load
from mta_lab.results.records import Record, Records
from mta_lab.training.seeds import derive
from tests.launch.conftest import Launched, run
from tests.launch.sweeps import write_sweep

TOY = {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12}


@pytest.fixture(scope="module")
def toy(moody: Path) -> Launched:
    """Two rows under one seed, in the launch tests' directory."""
    rows = {"plain": {"attention": "softmax"}, "talking": {"attention": "talking_heads"}}
    base = {"task": TOY, "model": {"vocabulary": 28}, "training": {"schedule": "constant"}}
    before = set(moody.parent.glob("data/*"))
    launched = run(write_sweep(moody.parent / "toy.yaml", rows, seeds=1, **base), [], workers=1)
    assert set(moody.parent.glob("data/*")) == before
    return launched


def test_every_run_finishes_with_an_error_rate_and_its_cost(toy: Launched) -> None:
    assert toy.status == 0
    assert len(toy.results) == 2
    for record in toy.results:
        assert isinstance(record, Record)
        assert (record.quantity, record.content_hash) == ("error_rate", "")
        assert record.domains == {"find_block": record.score}
        assert record.scored == {"find_block": 12}
        assert 0 <= record.score <= 1
        assert record.config["task"] == TOY | {"question": 2, "answer": "all"}
        assert record.training_seconds is not None
        assert 0 < record.training_seconds < record.seconds
        assert record.flops_per_token is not None
        assert record.flops_per_token > 6 * record.parameters / 2
        assert record.peak_memory is None or record.peak_memory > 0


def test_every_run_keeps_its_weights_and_they_can_be_drawn(toy: Launched) -> None:
    records = Records(toy.folder / "results")
    for record in records.all_finished():
        if record.quantity == "error_rate":
            run = load(record, records)
            start = build_model(run.config, derive(run.config.seed, "weights")).state_dict()
            assert run.current
            assert [name for name, value in run.model.state_dict().items() if torch.equal(value, start[name])] == []
    run, records = find_run(str(toy.folder / "toy.yaml"), "talking", None, Conditions(), Display())
    write_picture(toy.folder / "kernels.svg", "kernels", run, kernel_panels(run, records))
    write_picture(
        toy.folder / "attention.svg", "attend", run, attention_panels(run, reading_for(run, None), None, None)[0]
    )
    assert "<svg" in (toy.folder / "kernels.svg").read_text()
    assert "<svg" in (toy.folder / "attention.svg").read_text()


def test_the_tracker_shows_error_rates(toy: Launched) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{toy.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("toy-nano")
    assert experiment.tags["mlflow.experiment.primaryMetric.name"] == "val/error_rate"
    runs = {run.data.tags.get("row"): run for run in client.search_runs([experiment.experiment_id])}
    for row in ("plain", "talking"):
        metrics = runs[row].data.metrics
        assert metrics["val/error_rate"] == metrics["val/error_rate/find_block"]
        assert metrics["scored/find_block"] == 12
        assert metrics.keys() >= {"training_seconds", "flops_per_token", "train/loss"}


def test_a_finished_toy_is_found_again(toy: Launched) -> None:
    again = run(toy.folder / "toy.yaml", [])
    assert (again.status, again.events) == (0, [])
    assert "nothing to train" in again.output
