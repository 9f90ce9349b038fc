"""The table as data: which numbers stand where, and when a difference may be called resolved."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from mta_lab.model import count_parameters
from mta_lab.report.figures.forest import forest
from mta_lab.report.index import entry
from mta_lab.report.limits import limit_note, limits_of, look_note
from mta_lab.report.measured import Measured
from mta_lab.report.sections import scores
from mta_lab.report.statistics import Terms, compare
from mta_lab.report.table import Table, build_table
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Records
from mta_lab.sweep import load_sweep
from mta_lab.theme.style import styled
from tests.report.examples import (
    AGAIN,
    CLEAR,
    FILE,
    ROWS,
    UNCLEAR,
    WITH_CONTROL,
    example_sweep,
    finish,
    made_up_name,
    scored_by,
    table_of,
    with_rows,
)


def test_rows_hold_their_own_results(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    assert [row.name for row in table.rows] == list(ROWS)
    for row in (row.measured for row in table.rows):
        mean = row.mean
        assert mean is not None
        assert row.domains == pytest.approx({"github": mean - 1.0, "wikipedia": mean + 1.0})
        assert row.cost.tokens_per_second == 1000.0
        assert row.baseline == "softmax"
    for row in table.rows:
        assert row.measured.scores == CLEAR[row.name]
        assert row.measured.mean == pytest.approx(sum(CLEAR[row.name].values()) / 3)
    assert table.finished == 9
    assert table.comparison == compare(CLEAR, dict.fromkeys(ROWS, "softmax"), (), None)
    assert table.comparison.terms == Terms(looks=((0, 1, 2),))


def test_parameters_are_those_of_the_rows_model(tmp_path: Path) -> None:
    table = table_of(tmp_path, {})
    assert [row.measured.cost.parameters for row in table.rows] == [
        count_parameters(row.config) for row in table.sweep.rows
    ]
    softmax, narrow, wide = (row.measured.cost.parameters for row in table.rows)
    assert softmax < narrow < wide


def test_contrasts_and_published_deltas(tmp_path: Path) -> None:
    softmax, narrow, wide = table_of(tmp_path, CLEAR).rows
    assert softmax.measured.contrast is None
    assert wide.measured.contrast is not None
    assert wide.measured.contrast.delta == pytest.approx(-0.067, abs=0.002)
    assert [row.published.value for row in (softmax, narrow, wide)] == [11.25, None, 11.13]
    references = [row.published.references for row in (softmax, narrow, wide)]
    assert references == [("table2.transformer",), (), ("table5.9",)]
    assert narrow.published.delta is None
    assert wide.published.delta == pytest.approx(11.13 / 11.25 - 1)


def test_only_what_stands_out_is_resolved(tmp_path: Path) -> None:
    _, narrow, wide = (row.measured for row in table_of(tmp_path, CLEAR).rows)
    assert (narrow.resolved, wide.resolved) == (False, True)
    assert (narrow.verdict, wide.verdict) == ("equal", "better")


def test_a_row_that_differs_by_less_than_the_margin_is_equal_and_any_other_is_unresolved(tmp_path: Path) -> None:
    for margin, verdict in (("1%", "equal"), ("0.1%", "unresolved")):
        file = FILE + f"equal_within: {margin}\n"
        narrow = table_of(tmp_path, CLEAR, sweep=example_sweep(tmp_path, file)).rows[1].measured
        assert narrow.verdict == verdict
        assert not narrow.resolved
    unclear = table_of(tmp_path, {**CLEAR, **UNCLEAR}).rows[1].measured
    assert unclear.verdict == "unresolved"


def test_rows_of_a_metric_that_grows_are_better_where_they_are_higher(tmp_path: Path) -> None:
    wide = table_of(tmp_path, CLEAR).rows[2].measured
    metric = replace(wide.metric, higher_is_better=True)
    assert (wide.verdict, replace(wide, metric=metric).verdict) == ("better", "worse")


LOOKS = FILE.replace("seeds: 3", "looks: [2, 3]")


def test_a_table_says_which_looks_it_has_used_and_which_seeds_count(tmp_path: Path) -> None:
    first = {row: {seed: value for seed, value in runs.items() if seed < 2} for row, runs in CLEAR.items()}
    begun = {**first, "softmax": CLEAR["softmax"]}
    tables = [table_of(tmp_path / str(number), scores, sweep=example_sweep(tmp_path, LOOKS))
              for number, scores in enumerate(({}, first, begun, CLEAR))]  # fmt: skip
    assert [table.rows[1].measured.looks_used for table in tables] == [0, 1, 1, 2]
    assert tables[1].comparison == tables[2].comparison, "the third seed counts for nothing yet"
    said = [look_note(table)[0] for table in tables]
    assert "at levels 0.022 and 0.028: 0 of 2 used; no verdict before the first" in said[0]
    assert "1 of 2 used; verdicts are of the first 2 seeds. " in said[1]
    assert "further ones count for nothing until look 2 is complete" in said[2]
    assert "2 of 2 used" in said[3]
    verdicts = [line.cells[4] for line in scores(tables[2]).lines]
    assert verdicts == ["baseline", "unresolved (look 1 of 2)", "unresolved (look 1 of 2)"]
    assert look_note(table_of(tmp_path, CLEAR)) == []


def test_a_table_states_its_detection_limit_and_the_power_for_an_effect(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, **UNCLEAR})
    (said,) = limit_note(table)
    found = limits_of(table)
    assert found is not None
    assert found.typical.limit is not None
    assert f"with 3 seeds a difference of {found.typical.limit:.1%} is seen with 80% power" in said
    assert f"One of 2.0% is seen with {found.typical.power:.0%}; 80% would take" in said
    empty = build_table(table.sweep, {}, Records(tmp_path / "empty"))
    assert limit_note(empty) == []


def test_a_table_that_sees_nothing_says_so(tmp_path: Path) -> None:
    """Seeds that solve the task or do not are worth so little that no difference is seen."""
    apart = {0: 0.777, 1: 0.753, 2: 0.019}
    (said,) = limit_note(error_table(tmp_path, {"softmax": apart, "wide": {0: 0.0, 1: 0.7, 2: 0.002}}))
    assert "with 3 seeds not even the largest difference is seen with 80% power" in said
    assert "80% would take more than 100 seeds in all" in said


@pytest.mark.parametrize("missing", [("wide", 1), ("softmax", 2)], ids=["of the row", "of the baseline"])
@pytest.mark.parametrize("failed", [False, True], ids=["pending", "failed"])
def test_nothing_is_resolved_while_a_seed_is_missing(missing: tuple[str, int], failed: bool, tmp_path: Path) -> None:
    row, seed = missing
    values = {name: {s: v for s, v in runs.items() if (name, s) != missing} for name, runs in CLEAR.items()}
    table = table_of(tmp_path, values, {missing: "diverged"} if failed else None)
    wide = table.rows[2].measured
    assert wide.contrast is not None
    assert wide.contrast.p < 0.025, "the example must be clear enough to be resolved if it were complete"
    assert (wide.resolved, wide.verdict, wide.p_holm) == (False, None, None)
    (found,) = (other for other in table.rows if other.name == row)
    assert found.measured.status(seed) == ("failed" if failed else "pending")


def test_missing_seed_of_another_row_does_not_hold_a_row_back(tmp_path: Path) -> None:
    table = table_of(tmp_path, {**CLEAR, "narrow": {0: 29.9}})
    assert table.rows[2].measured.resolved


def test_finished_run_is_no_failure(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"softmax": {0: 30.0}}, {("softmax", 1): "killed"})
    softmax = table.rows[0].measured
    assert softmax.scores == {0: 30.0}
    assert {seed: failure.reason for seed, failure in softmax.failures.items()} == {1: "killed"}
    assert [softmax.status(seed) for seed in range(3)] == ["finished", "failed", "pending"]
    assert not table.comparison.contrasts


def test_nothing_measured_is_nothing_but_published(tmp_path: Path) -> None:
    """A published value must never stand where a measured one belongs."""
    table = table_of(tmp_path, {})
    assert table.finished == 0
    for row in (row.measured for row in table.rows):
        assert (row.mean, row.contrast, row.cost.tokens_per_second, row.equal_flops) == (None,) * 4
        assert not row.scores
        assert not row.domains
    assert [row.published.value for row in table.rows] == [11.25, None, 11.13]
    assert table.provenance == ()


def control(folder: Path, scores: dict[int, float]) -> Measured:
    sweep = example_sweep(folder, WITH_CONTROL)
    return table_of(folder, {**CLEAR, "again": scores}, sweep=sweep).rows[3].measured


def test_row_on_a_stream_of_its_own_is_the_control(tmp_path: Path) -> None:
    again = control(tmp_path, AGAIN["again"])
    assert (again.role, again.passed, again.resolved) == ("A/A", True, False)


def test_control_fails_without_holms_help(tmp_path: Path) -> None:
    """An uncorrected p of 3.6 % is unresolved over three rows, and still no pass."""
    again = control(tmp_path, {0: 30.6, 1: 30.4, 2: 30.6})
    assert again.contrast is not None
    assert 0.025 < again.contrast.p < 0.05
    assert not again.resolved
    assert again.passed is False


def test_control_with_missing_seeds_is_open(tmp_path: Path) -> None:
    assert control(tmp_path, {0: 30.2, 1: 29.7}).passed is None


def test_only_the_baselines_own_configuration_is_a_control(tmp_path: Path) -> None:
    file = WITH_CONTROL.replace("again: {attention: softmax,", "again: {attention: talking_heads,")
    rows = table_of(tmp_path, CLEAR, sweep=example_sweep(tmp_path, file)).rows
    assert [row.measured.role for row in rows] == ["baseline", "row", "row", "row"]


def test_rows_are_compared_with_their_own_baseline(tmp_path: Path) -> None:
    sweep = with_rows(example_sweep(tmp_path), narrow={"baseline": "narrow"}, wide={"baseline": "narrow"})
    table = table_of(tmp_path, CLEAR, sweep=sweep)
    assert table.baselines == ["softmax", "narrow"]
    softmax, narrow, wide = (row.measured for row in table.rows)
    assert softmax.contrast is None
    assert narrow.contrast is None
    assert wide.contrast is not None
    assert math.log1p(wide.contrast.delta) == pytest.approx(
        fmean(math.log(CLEAR["wide"][seed] / CLEAR["narrow"][seed]) for seed in range(3))
    )
    assert wide.ratios["parameters"].value == wide.cost.parameters / narrow.cost.parameters
    assert table.comparison.noise.keys() == {"narrow"}
    assert table.comparison.planned == 1


def test_a_row_that_serves_as_baseline_is_compared_itself_too(tmp_path: Path) -> None:
    """Both of its roles count: its difference is in the family, and `wide` is held against it."""
    sweep = with_rows(example_sweep(tmp_path), wide={"baseline": "narrow"})
    table = table_of(tmp_path, {**CLEAR, "narrow": {0: 34.0, 1: 34.2, 2: 33.9}}, sweep=sweep)
    softmax, narrow, wide = (row.measured for row in table.rows)
    assert table.baselines == ["softmax", "narrow"]
    assert (softmax.role, narrow.role, wide.role) == ("baseline", "row", "row")
    assert table.comparison.planned == 2
    assert narrow.resolved
    assert wide.resolved
    assert [row.contrast.delta > 0 for row in (narrow, wide) if row.contrast] == [True, False]
    assert entry(table)["rows_compared"] == entry(table)["rows_resolved"] == 2
    with styled():
        drawn = forest(table, 8.0)
    assert drawn is not None
    assert [name.get_text() for name in drawn.axes[0].get_yticklabels()] == ["narrow", "wide"]
    shown = {line.cells[0]: line.cells[3:] for line in scores(table).lines}
    assert (shown["narrow"][0], shown["wide"][0], shown["narrow"][2]) == ("softmax", "narrow", "worse")


def error_table(folder: Path, scores: dict[str, dict[int, float]], **changes: dict[str, object]) -> Table:
    sweep = scored_by(example_sweep(folder), "error_rate")
    return table_of(folder, scores, sweep=sweep, changes=changes)


def test_error_rates_have_intervals_and_differences_in_points(tmp_path: Path) -> None:
    scores = {
        "softmax": {0: 0.7, 1: 0.75, 2: 0.8},
        "narrow": {0: 0.8, 1: 0.7, 2: 0.74},
        "wide": {0: 0.0, 1: 0.0, 2: 0.0},
    }
    softmax, narrow, wide = (row.measured for row in error_table(tmp_path, scores).rows)
    assert wide.contrast is not None
    assert wide.contrast.delta == pytest.approx(-0.75)
    assert (narrow.resolved, wide.resolved) == (False, True)
    assert softmax.interval is not None
    assert softmax.interval[0] < 0.75 < softmax.interval[1]
    assert wide.interval is not None
    assert 0 == wide.interval[0] < wide.interval[1] < 0.05


def test_error_rates_over_an_unknown_number_are_hardly_known(tmp_path: Path) -> None:
    scores = {row: dict.fromkeys(range(3), rate) for row, rate in (("softmax", 0.75), ("wide", 0.0))}
    unknown: dict[str, object] = {"scored": {}}
    wide = error_table(tmp_path, scores, softmax=unknown, wide=unknown).rows[2].measured
    assert wide.interval is not None
    assert wide.interval[1] > 0.5
    assert not wide.resolved


def test_a_result_of_other_code_is_stale_and_counts_for_nothing(tmp_path: Path) -> None:
    sweep, records = example_sweep(tmp_path), Records(tmp_path / "results")
    for run in sweep.runs():
        finish(records, made_up_name(run.row, run.seed), 30.0, run.config)
    now = {(run.row, run.seed): made_up_name(run.row, run.seed) for run in sweep.runs()}
    now["wide", 1] = "othercode"
    now["narrow", 1] = "triedanew"
    attempt = Attempt(kind="killed", reason="signal 9", ended="2026-01-02T03:04:05+00:00", step=3)
    records.fail(
        Failure(fingerprint="triedanew", label="narrow", reason="", traceback="", attempts=[attempt], final=False)
    )
    table = build_table(sweep, now, records)
    wide = next(row.measured for row in table.rows if row.name == "wide")
    assert [wide.status(seed) for seed in sweep.seeds] == ["finished", "stale", "finished"]
    assert 1 not in wide.scores
    narrow = next(row.measured for row in table.rows if row.name == "narrow")
    assert narrow.status(1) == "pending", "an attempt that failed was asked for"
    settings = ["training.steps=7", "training.warmup_steps=1"]
    longer = load_sweep(str(tmp_path / "widths.yaml"), scale="nano", settings=settings)
    names = {(run.row, run.seed): f"longer{made_up_name(run.row, run.seed)}" for run in longer.runs()}
    other = build_table(longer, names, records)
    assert {row.measured.status(0) for row in other.rows} == {"pending"}
