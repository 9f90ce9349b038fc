"""A record says what a run came to at its end, whatever it was on the way."""

from dataclasses import replace

import pytest

from mta_lab.launch.recording import record_of
from mta_lab.training import TrainingResult, Validation
from tests.launch.test_runs import corpus, runs

RESULT = TrainingResult(
    parameters=1, implementations={"sdpa": "auto"}, losses=((10, 3.0), (30, 2.0)),
    validations=(Validation(step=30, quantity="perplexity", domains={"a": 25.0}, scored={"a": 30}),),
    tokens_per_second=1e4, training_seconds=1.0, seconds=2.0, peak_memory=None, flops_per_token=6e9,
    stopped_early=False,
)  # fmt: skip


def test_the_score_of_a_record_is_that_of_the_last_validation_and_not_the_best_or_the_first() -> None:
    validations = tuple(
        Validation(step=step, quantity="perplexity", domains={"a": score - 1, "b": score + 1}, scored={"a": step})
        for step, score in ((10, 30.0), (20, 20.0), (30, 25.0))
    )
    result = replace(RESULT, validations=validations)
    (run,) = runs(corpus(2050))
    record = record_of(run, result, run_id="", threads=1)
    assert (record.score, record.domains, record.scored) == (25.0, {"a": 24.0, "b": 26.0}, {"a": 30})
    assert record.validations == [[10, 30.0], [20, 20.0], [30, 25.0]]


def test_a_record_says_where_it_was_trained_and_not_where_it_was_written() -> None:
    (run,) = runs(corpus(2050))
    theirs = {"machine": "a GPU", "commit": "0123456789ab", "torch": "3.0", "python": "4.0", "contended": None}
    result = replace(RESULT, place=theirs, machines=("another GPU", "a GPU"))
    found = record_of(run, result, run_id="", threads=3).provenance
    assert {name: found[name] for name in theirs} == theirs
    assert (found["threads"], found["machines"]) == (3, ["another GPU", "a GPU"])


@pytest.mark.parametrize(
    ("machine", "devices", "share"),
    [
        ("NVIDIA H100 80GB HBM3", 1, 6e13 / 67e12),
        ("NVIDIA H100 80GB HBM3", 4, 6e13 / (4 * 67e12)),
        ("NVIDIA H100 PCIe", 1, None),
        ("AMD EPYC, 2 cores", 1, None),
    ],
)
def test_the_share_of_the_peak_is_said_where_that_is_known(machine: str, devices: int, share: float | None) -> None:
    (run,) = runs(corpus(2050))
    result = replace(RESULT, place={"machine": machine}, devices_per_run=devices)
    record = record_of(run, result, run_id="", threads=1)
    assert record.provenance.get("share_of_peak") == (share and pytest.approx(share))
