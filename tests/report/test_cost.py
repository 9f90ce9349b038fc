"""Costs, their ratios, and deltas at equal operations."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from mta_lab.report.cost import Ratio, compare_costs, equal_flops_delta
from mta_lab.report.cost_section import with_interval
from mta_lab.report.notes import notes
from mta_lab.results.records import Record
from tests.report.examples import CLEAR, example_record, example_sweep, table_of

STEPS = (256, 512, 1024)


def record(folder: Path, scores: tuple[float, ...], times: float, **changes: Any) -> Record:
    """A made-up run that takes so many `times` the usual operations."""
    made = example_record("one", scores[-1], example_sweep(folder).rows[0].config)
    curve = [list(point) for point in zip(STEPS, scores, strict=True)]
    own = {"validations": curve, "flops_per_token": 3000 * times, "training_seconds": 10.0, **changes}
    return dataclasses.replace(made, **own)


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
    first, second = (
        record(tmp_path, (3.0, 2.0, 1.0), 1.0, training_seconds=seconds, peak_memory=0) for seconds in (10.0, 20.0)
    )
    runs = {"a": {0: first, 1: second, 2: dataclasses.replace(first, training_seconds=0.0)}, "b": {}}
    found = compare_costs(runs, {"a": 7, "b": 7}, {"a": "a", "b": "a"})
    cost = found["a"].cost
    assert (cost.parameters, cost.training_seconds, cost.peak_memory) == (7, 15.0, None)
    assert found["b"].cost.tokens_per_second is None
    assert found["b"].ratios.keys() == {"parameters"}


def test_counted_ratios_are_exact_and_measured_ones_paired_with_an_interval(tmp_path: Path) -> None:
    """`wide` takes 1.5 times as long under each seed, on a machine that slows down by half."""
    table = table_of(tmp_path, CLEAR)
    slow = {0: 1.0, 1: 1.5, 2: 1.2}
    runs = {
        row.name: {
            seed: dataclasses.replace(
                one,
                step_seconds=0.01 * slow[seed] * (1.5 if row.name == "wide" else 1.0) * (1 + 0.01 * (place == seed)),
                flops_per_token=6000.0 if row.name == "wide" else 3000.0,
            )
            for seed, one in row.measured.records.items()
        }
        for place, row in enumerate(table.rows)
    }
    found = compare_costs(runs, {"softmax": 10, "narrow": 10, "wide": 11}, dict.fromkeys(runs, "softmax"))
    ratios = found["wide"].ratios
    assert ratios["parameters"] == Ratio(value=1.1, low=1.1, high=1.1)
    assert ratios["flops_per_token"] == Ratio(value=2.0, low=2.0, high=2.0)
    assert ratios["step_seconds"].value == pytest.approx(1.5, rel=0.01)
    assert 1.4 < ratios["step_seconds"].low < ratios["step_seconds"].high < 1.6, "the machine's slowness cancels"
    assert ratios["step_seconds"].apart
    assert not found["narrow"].ratios["step_seconds"].apart
    assert ratios["tokens_per_second"].low is None, "what the wall clock says is not compared"


def test_a_run_without_its_median_step_puts_all_on_the_mean(tmp_path: Path) -> None:
    """Processor time of one and wall-clock time of another are never one column."""
    one, two = (record(tmp_path, (3.0, 2.0, 1.0), 1.0, training_seconds=seconds) for seconds in (10.24, 20.48))
    one = dataclasses.replace(one, step_seconds=0.005)
    (a, b) = compare_costs({"a": {0: one}, "b": {0: two}}, {"a": 1, "b": 1}, {"a": "a", "b": "a"}).values()
    assert (a.cost.step_seconds, b.cost.step_seconds) == (pytest.approx(0.01), pytest.approx(0.02))
    assert b.ratios["step_seconds"] == Ratio(value=pytest.approx(2.0)), "one seed tells no interval"


def test_a_ratio_that_does_not_tell_from_1_stands_in_brackets() -> None:
    assert with_interval(Ratio(value=1.15, low=1.1, high=1.2)) == "1.15 [1.10, 1.20]"
    assert with_interval(Ratio(value=1.15, low=0.9, high=1.4)) == "(1.15 [0.90, 1.40])"
    assert with_interval(Ratio(value=1.15)) == "(1.15)"


def test_costlier_row_is_read_at_the_baselines_operations(tmp_path: Path) -> None:
    """At half its steps, where a validation was, its perplexity is 25; the baseline ends at 20."""
    row, base = record(tmp_path, (30.0, 25.0, 18.0), 2.0), record(tmp_path, (30.0, 22.0, 20.0), 1.0)
    assert equal_flops_delta({0: row}, {0: base}).delta == pytest.approx(25 / 20 - 1)


def test_cheaper_row_is_compared_with_the_baseline_at_its_operations(tmp_path: Path) -> None:
    row, base = record(tmp_path, (30.0, 25.0, 18.0), 0.5), record(tmp_path, (30.0, 22.0, 20.0), 1.0)
    assert equal_flops_delta({0: row}, {0: base}).delta == pytest.approx(18 / 22 - 1)


def test_between_validations_log_score_is_linear_in_log_step(tmp_path: Path) -> None:
    """A power law is read exactly."""
    row = record(tmp_path, tuple(step**-0.1 for step in STEPS), 1.4)
    base = record(tmp_path, (3.0, 2.0, 1.0), 1.0)
    assert equal_flops_delta({0: row}, {0: base}).delta == pytest.approx((1024 / 1.4) ** -0.1 - 1)


def test_error_rates_are_read_as_they_are(tmp_path: Path) -> None:
    row = record(tmp_path, (0.5, 0.2, 0.0), 1024 / math.sqrt(512 * 1024), quantity="error_rate")
    base = record(tmp_path, (0.5, 0.5, 0.5), 1.0, quantity="error_rate")
    assert equal_flops_delta({0: row}, {0: base}).delta == pytest.approx(0.1 - 0.5)


def test_its_interval_is_students_over_the_seeds(tmp_path: Path) -> None:
    """Differences of 0.1, 0.2 and 0.3 in the logarithm: 0.2 with 4.303 standard errors."""
    ends = {seed: (30.0, 25.0, 20.0 * math.exp(0.1 * (seed + 1))) for seed in range(3)}
    row = {seed: record(tmp_path, scores, 1.0) for seed, scores in ends.items()}
    found = equal_flops_delta(row, {seed: record(tmp_path, (30.0, 25.0, 20.0), 1.0) for seed in range(3)})
    reach = 4.302653 * 0.1 / math.sqrt(3)
    assert (found.low, found.high) == (pytest.approx(math.expm1(0.2 - reach)), pytest.approx(math.expm1(0.2 + reach)))


def test_equal_operations_are_the_plain_delta(tmp_path: Path) -> None:
    wide = table_of(tmp_path, CLEAR).rows[2].measured
    assert wide.contrast is not None
    assert wide.equal_flops.delta == pytest.approx(wide.contrast.delta)


@pytest.mark.parametrize(
    ("times", "changes"),
    [(4.1, {}), (0.0, {}), (2.0, {"validations": []}), (1.5, {"validations": [[512, math.inf], [1024, 1.0]]})],
    ids=["before the first validation", "unknown operations", "no curve", "a curve that is not finite"],
)
def test_nothing_is_read_where_nothing_is_known(times: float, changes: dict[str, Any], tmp_path: Path) -> None:
    row = dataclasses.replace(record(tmp_path, (30.0, 25.0, 18.0), times), **changes)
    assert equal_flops_delta({0: row}, {0: record(tmp_path, (30.0, 22.0, 20.0), 1.0)}) is None
    assert equal_flops_delta({0: row}, {}) is None
