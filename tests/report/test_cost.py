"""Costs, their ratios, and deltas at equal training time."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from mta_lab.report.cost import COSTS, cost_of, equal_time_delta
from mta_lab.report.notes import notes
from mta_lab.results.records import Record
from tests.report.examples import CLEAR, example_record, example_sweep, table_of

STEPS = (256, 512, 1024)


def record(folder: Path, scores: tuple[float, ...], seconds: float, **changes: Any) -> Record:
    made = example_record("one", scores[-1], example_sweep(folder).rows[0].config)
    curve = [list(point) for point in zip(STEPS, scores, strict=True)]
    return dataclasses.replace(made, validations=curve, training_seconds=seconds, **changes)


def test_runs_that_shared_their_cores_are_said(tmp_path: Path) -> None:
    origin = {"machine": "a made-up machine", "threads": 1, "torch": "0", "commit": "none"}
    changes = {
        "wide": {"provenance": {**origin, "contended": True}},
        "narrow": {"provenance": {**origin, "contended": False}},
    }
    said = " ".join(notes(table_of(tmp_path, CLEAR, changes=changes)))
    assert "3 runs shared the cores with other work (by row: wide (3))" in said
    assert "shared the cores" not in " ".join(notes(table_of(tmp_path / "quiet", CLEAR, sweep=example_sweep(tmp_path))))


def test_costs_are_means_over_seeds_and_zero_is_unknown(tmp_path: Path) -> None:
    runs = [record(tmp_path, (3.0, 2.0, 1.0), seconds, peak_memory=0) for seconds in (10.0, 20.0)]
    found = cost_of(7, [*runs, dataclasses.replace(runs[0], training_seconds=0.0)])
    assert (found.parameters, found.training_seconds, found.peak_memory) == (7, 15.0, None)
    assert cost_of(7, []).tokens_per_second is None


def test_ratios_are_over_the_baselines_own(tmp_path: Path) -> None:
    changes = {"wide": {"tokens_per_second": 500.0, "training_seconds": 20.0, "peak_memory": 3_000_000}}
    table = table_of(tmp_path, CLEAR, changes=changes)
    softmax, _, wide = (row.measured for row in table.rows)
    assert softmax.ratios == dict.fromkeys(COSTS, 1.0)
    assert wide.ratios["parameters"] == wide.cost.parameters / softmax.cost.parameters > 1
    assert {name: wide.ratios[name] for name in COSTS[1:]} == {
        "tokens_per_second": 0.5, "training_seconds": 2.0, "peak_memory": 1.5, "flops_per_token": 1.0,
    }  # fmt: skip


def test_slower_row_is_read_at_the_baselines_time(tmp_path: Path) -> None:
    """At half its steps, where a validation was, its perplexity is 25; the baseline ends at 20."""
    row, base = record(tmp_path, (30.0, 25.0, 18.0), 20.0), record(tmp_path, (30.0, 22.0, 20.0), 10.0)
    assert equal_time_delta({0: row}, {0: base}) == pytest.approx(25 / 20 - 1)


def test_faster_row_is_compared_with_the_baseline_at_its_time(tmp_path: Path) -> None:
    row, base = record(tmp_path, (30.0, 25.0, 18.0), 5.0), record(tmp_path, (30.0, 22.0, 20.0), 10.0)
    assert equal_time_delta({0: row}, {0: base}) == pytest.approx(18 / 22 - 1)


def test_between_validations_log_score_is_linear_in_log_step(tmp_path: Path) -> None:
    """A power law is read exactly."""
    row = record(tmp_path, tuple(step**-0.1 for step in STEPS), 14.0)
    base = record(tmp_path, (3.0, 2.0, 1.0), 10.0)
    assert equal_time_delta({0: row}, {0: base}) == pytest.approx((1024 / 1.4) ** -0.1 - 1)


def test_error_rates_are_read_as_they_are(tmp_path: Path) -> None:
    row = record(tmp_path, (0.5, 0.2, 0.0), 1024 / math.sqrt(512 * 1024) * 10, quantity="error_rate")
    base = record(tmp_path, (0.5, 0.5, 0.5), 10.0, quantity="error_rate")
    assert equal_time_delta({0: row}, {0: base}) == pytest.approx(0.1 - 0.5)


def test_equal_times_are_the_plain_delta(tmp_path: Path) -> None:
    wide = table_of(tmp_path, CLEAR).rows[2].measured
    assert wide.contrast is not None
    assert wide.equal_time_delta == pytest.approx(wide.contrast.delta)


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [(41.0, {}), (0.0, {}), (20.0, {"validations": []}), (15.0, {"validations": [[512, math.inf], [1024, 1.0]]})],
    ids=["before the first validation", "unknown time", "no curve", "a curve that is not finite"],
)
def test_nothing_is_read_where_nothing_is_known(seconds: float, changes: dict[str, Any], tmp_path: Path) -> None:
    row = dataclasses.replace(record(tmp_path, (30.0, 25.0, 18.0), seconds), **changes)
    assert equal_time_delta({0: row}, {0: record(tmp_path, (30.0, 22.0, 20.0), 10.0)}) is None
    assert equal_time_delta({0: row}, {}) is None
