"""Build the table of a sweep: measured and published values, and tested differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

from components.metrics import metric_named
from mta_lab.config import in_plain_torch, throughout
from mta_lab.model import count_parameters
from mta_lab.report.agreement import Agreement, agreement_of
from mta_lab.report.cost import RowCost, compare_costs
from mta_lab.report.course import Courses, courses_of
from mta_lab.report.effects import Effects, effects_of
from mta_lab.report.measured import Measured, Role
from mta_lab.report.published import Published, published_of
from mta_lab.report.statistics import Comparison, Terms, compare
from mta_lab.results.records import Failure, Record, Records
from mta_lab.results.states import states_of
from mta_lab.results.step_times import StepTime, step_times
from mta_lab.stats.contrasts import EFFECT
from mta_lab.stats.proportions import Rates, interval
from mta_lab.sweep import Row, Sweep
from mta_lab.sweep.search import Searched
from mta_lab.words import counted

if TYPE_CHECKING:
    from pandas import DataFrame

Runs = Mapping[str, Mapping[int, Record]]
"""row -> seed -> record"""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row: measured values from records only, published ones from the ledger only."""

    name: str
    measured: Measured
    published: Published


@dataclass(frozen=True, kw_only=True)
class Table:
    """The table of a sweep."""

    sweep: Sweep
    rows: tuple[TableRow, ...]
    comparison: Comparison
    agreement: Agreement
    provenance: tuple[str, ...]
    """distinct machines and commits that the results come from"""
    in_turns: Mapping[str, StepTime] = field(default_factory=dict)
    """what a step takes over the baseline's, of each row that was timed in turns with it"""
    remarks: tuple[str, ...] = ()
    """further notes, on what the records alone cannot tell"""
    searched: Mapping[str, Searched] = field(default_factory=dict)
    """the trials of each row that is searched, and what they tell"""

    @property
    def finished(self) -> int:
        """Return the number of runs with a result."""
        return sum(len(row.measured.scores) for row in self.rows)

    @property
    def extent(self) -> str:
        """Return the extent of the table: `5 rows, seeds 0 to 2, 12 of 15 runs finished`."""
        rows, seeds, planned = len(self.rows), self.sweep.seeds, len(self.rows) * len(self.sweep.seeds)
        under = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
        runs = counted(planned, "run") if self.finished == planned else f"{self.finished} of {counted(planned, 'run')}"
        return f"{counted(rows, 'row')}, {under}, {runs} finished"

    @property
    def counted_seeds(self) -> tuple[int, ...]:
        """Return the seeds that verdicts are of: of the last complete look, or else all planned."""
        used = max((row.measured.looks_used for row in self.rows), default=0)
        return tuple(self.sweep.look_seeds[used - 1]) if used else self.sweep.seeds

    @cached_property
    def effects(self) -> Effects | None:
        """Return the effects by factor; None where the rows are no factorial."""
        return effects_of(self)

    @cached_property
    def courses(self) -> Courses | None:
        """Return the rows' deltas along training; None where no row has a course."""
        return courses_of(self)

    def to_frame(self) -> "DataFrame":
        """Return the rows as a pandas DataFrame at full precision; `report.frame` describes it."""
        from mta_lab.report.frame import frame  # noqa: PLC0415  it is made of this table

        return frame(self)

    def _repr_html_(self) -> str:
        """Return the table as HTML, for Jupyter."""
        return str(self.to_frame().to_html(float_format="{:.4g}".format, na_rep="-"))

    @property
    def baselines(self) -> list[str]:
        """Return the names of the rows that others are compared with."""
        named = {row.measured.baseline for row in self.rows}
        return [row.name for row in self.rows if row.name in named]


def build_table(
    sweep: Sweep,
    fingerprints: Mapping[tuple[str, int], str],
    records: Records,
    effect: float = EFFECT,
    asked: Mapping[str, str] = {},
    parents: Mapping[str, str] = {},
) -> Table:
    """Return the table of `sweep`.

    `fingerprints` has the fingerprint of each (row, seed), under which `records` is searched. A run
    without a record is pending, failed or stale. `effect` is the one whose power the table states.
    `asked` has, by row, the fingerprint of the evaluation that rows are compared by, where these
    are asked questions; a finished run that was not asked is pending.
    `parents` has, by fingerprint, what stages start from: they fail with it.
    """
    found: dict[str, dict[int, Record]] = {row.name: {} for row in sweep.rows}
    failed: dict[str, dict[int, Failure]] = {row.name: {} for row in sweep.rows}
    for (row, seed), identity in fingerprints.items():
        if record := records.usable(identity):
            if scored := record.asked(asked[row]) if asked else record:
                found[row][seed] = scored
        elif failure := _failure(identity, records, parents):
            failed[row][seed] = failure
    missing = {(row, seed): identity for (row, seed), identity in fingerprints.items() if seed not in found[row]}
    comparison, stale = _compare(sweep, found, effect), _stale(sweep, missing, records)
    parameters = {row.name: count_parameters(row.config) for row in sweep.rows}
    in_turns = _in_turns(sweep, fingerprints, records)
    costs = compare_costs(found, parameters, {row.name: row.baseline for row in sweep.rows}, in_turns)
    rows = tuple(
        _row(row, sweep, found, failed[row.name], stale[row.name], comparison, costs[row.name]) for row in sweep.rows
    )
    return Table(
        sweep=sweep,
        rows=rows,
        comparison=comparison,
        agreement=agreement_of(rows, comparison),
        provenance=origins([record for runs in found.values() for record in runs.values()]),
        in_turns=in_turns,
    )


def _in_turns(sweep: Sweep, fingerprints: Mapping[tuple[str, int], str], records: Records) -> dict[str, StepTime]:
    """Return what a step takes over the baseline's, of each row for which that is kept."""
    kept = step_times(records.directory)
    first = {row: identity for (row, seed), identity in fingerprints.items() if seed == sweep.seeds[0]}
    pairs = {row.name: (first.get(row.name, ""), first.get(row.baseline, "")) for row in sweep.rows}
    return {row: kept[pair] for row, pair in pairs.items() if pair in kept}


def _failure(identity: str, records: Records, parents: Mapping[str, str]) -> Failure | None:
    """Return the failure of a run, or of the one that it would start from."""
    if own := records.failed(identity):
        return own
    while (before := parents.get(identity)) and not records.has_finished(before):
        if failure := records.failed(before):
            return replace(
                failure, reason=f"{failure.label} failed, from which it starts: {failure.reason}", attempts=()
            )
        identity = before
    return None


def _compare(sweep: Sweep, found: Runs, effect: float) -> Comparison:
    configs = {row.name: row.config for row in sweep.rows}
    return compare(
        {row: {seed: record.score for seed, record in runs.items()} for row, runs in found.items()},
        baselines={row.name: row.baseline for row in sweep.rows},
        unshared={row.name for row in sweep.rows if row.config.stream != configs[row.baseline].stream},
        sequences={row: sequences_of(list(runs.values())) for row, runs in found.items()}
        if sweep.metric.is_share
        else None,
        terms=Terms(looks=sweep.look_seeds, within=sweep.equal_within, effect=effect),
    )


def _stale(sweep: Sweep, missing: Mapping[tuple[str, int], str], records: Records) -> dict[str, frozenset[int]]:
    """Return the seeds of each row whose only results are stale, of the runs that have no other."""
    configs = {row.name: row.config for row in sweep.rows}
    runs = {identity: throughout(configs[row], seed=seed) for (row, seed), identity in missing.items()}
    states = states_of(runs, records)
    seeds: dict[str, set[int]] = {row.name: set() for row in sweep.rows}
    for (row, seed), identity in missing.items():
        if states[identity] == "stale":
            seeds[row].add(seed)
    return {row: frozenset(stale) for row, stale in seeds.items()}


def _row(
    row: Row,
    sweep: Sweep,
    found: Runs,
    failures: Mapping[int, Failure],
    stale: frozenset[int],
    comparison: Comparison,
    cost: RowCost,
) -> TableRow:
    baseline = next(other for other in sweep.rows if other.name == row.baseline)
    runs, base_runs = found[row.name], found[baseline.name]
    records = [runs[seed] for seed in sorted(runs)]
    ended: Mapping[int, Record | Failure] = {**failures, **runs}
    domains = records[0].domains if records else ()
    measured = Measured(
        role=_role(row, baseline),
        baseline=row.baseline,
        metric=sweep.metric,
        seeds=sweep.seeds,
        scores={seed: runs[seed].score for seed in sorted(runs)},
        records=runs,
        failures=failures,
        attempts={seed: ended[seed].attempts for seed in sorted(ended) if ended[seed].attempts},
        stale=stale,
        interval=_interval(row.name, found) if sweep.metric.is_share else None,
        domains={name: fmean(record.domains[name] for record in records) for name in domains},
        further=_further(records),
        contrast=comparison.contrasts.get(row.name),
        p_holm=comparison.p_holm.get(row.name),
        p_equal=comparison.p_equal.get(row.name),
        called=comparison.called.get(row.name),
        baseline_ready=all(seed in base_runs for seed in sweep.look_seeds[0]),
        looks=tuple(map(len, sweep.look_seeds)),
        looks_used=comparison.looks.get(row.name, 0),
        cost=cost.cost,
        ratios=cost.ratios,
        equal_flops=cost.equal_flops,
        implementation=", ".join(sorted({record.implementation for record in records} - {""})),
    )
    published = published_of(row, baseline, sweep.metric)
    return TableRow(name=row.name, measured=measured, published=published)


def _further(records: Sequence[Record]) -> dict[str, float]:
    """Return the mean score by each further evaluation that all of the records have."""
    names = [name for name in (records[0].further if records else ()) if metric_named(name)]
    shared = [name for name in names if all(name in one.further for one in records)]
    return {name: fmean(record.further[name].mean for record in records) for name in shared}


def _role(row: Row, baseline: Row) -> Role:
    if row is baseline:
        return "baseline"
    ours, theirs = (in_plain_torch(one.config.attention) for one in (row, baseline))
    again = replace(throughout(row.config, stream=baseline.config.stream), attention=baseline.config.attention)
    return "A/A" if row.config != baseline.config == again and ours == theirs else "row"


def _interval(row: str, found: Runs) -> tuple[float, float] | None:
    rows = {
        name: Rates(rates=[record.score for record in runs.values()], sequences=sequences_of(list(runs.values())))
        for name, runs in found.items()
        if runs
    }
    return interval(rows[row], list(rows.values())) if row in rows else None


def sequences_of(records: Sequence[Record]) -> int:
    """Return the number of scored sequences behind a share; 1, the most cautious, if unknown."""
    return max(min((sum(record.scored.values()) for record in records), default=1), 1)


def origins(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the distinct machines and commits that records come from, each with its days."""
    days: dict[str, set[str]] = {}
    for record in records:
        found = record.provenance
        place = f"{found['machine']}, {_threads(record)} a run, torch {found['torch']}, commit {found['commit']}"
        days.setdefault(place, set()).add(str(found.get("finished", "an unknown day"))[:10])
    return tuple(f"{place}, {' to '.join(dict.fromkeys((min(on), max(on))))}" for place, on in sorted(days.items()))


def _threads(record: Record) -> str:
    threads, devices = counted(record.provenance["threads"], "thread"), record.provenance.get("devices_per_run", 1)
    return threads if devices == 1 else f"{threads} in {devices} processes"
