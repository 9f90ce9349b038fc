"""The table of a sweep as data: what was measured, what the paper printed, and how sure the differences are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from mta_lab.model import count_parameters
from mta_lab.records import Failure, Record, Records
from mta_lab.report.statistics import Comparison, Contrast, compare
from mta_lab.sweep import Row, Sweep


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row: measured values from records only, published ones from the ledger only."""

    name: str
    parameters: int
    scores: Mapping[int, float]
    """by seed; a seed that is not there has not finished"""
    failures: Mapping[int, Failure]
    """by seed, of the cells that failed"""
    domains: Mapping[str, float]
    """mean over the finished seeds"""
    tokens_per_second: float | None
    implementation: str
    """what computed the attention, as the records say; empty without them"""
    contrast: Contrast | None
    """against the baseline; None for the baseline itself and where there are too few cells"""
    published: float | None
    published_delta: float | None
    """relative to the paper's own baseline"""
    reference: str

    @property
    def mean(self) -> float | None:
        """Mean perplexity over the finished seeds."""
        return fmean(self.scores.values()) if self.scores else None


@dataclass(frozen=True, kw_only=True)
class Table:
    """The table of a sweep."""

    sweep: Sweep
    rows: tuple[TableRow, ...]
    comparison: Comparison | None
    provenance: tuple[str, ...]
    """distinct machines and commits that the results come from"""

    @property
    def finished(self) -> int:
        """Cells with a result."""
        return sum(len(row.scores) for row in self.rows)

    @property
    def failures(self) -> list[Failure]:
        """Cells without a result whose last attempt failed."""
        return [failure for row in self.rows for failure in row.failures.values()]

    def resolved(self, row: TableRow) -> bool:
        """Whether a row's difference stands out; never while one of its or the baseline's seeds is missing."""
        baseline = next(other for other in self.rows if other.name == self.sweep.baseline)
        complete = len(row.scores) == len(baseline.scores) == len(self.sweep.seeds)
        return complete and row.contrast is not None and row.contrast.resolved


def build_table(sweep: Sweep, fingerprints: Mapping[tuple[str, int], str], records: Records) -> Table:
    """The table of `sweep`, its cells' records found by the fingerprint of (row, seed)."""
    found: dict[str, dict[int, Record]] = {row.name: {} for row in sweep.rows}
    failed: dict[str, dict[int, Failure]] = {row.name: {} for row in sweep.rows}
    for (row, seed), identity in fingerprints.items():
        if record := records.finished(identity):
            found[row][seed] = record
        elif failure := records.failed(identity):
            failed[row][seed] = failure
    values = {row: {seed: record.score for seed, record in cells.items()} for row, cells in found.items()}
    comparison = compare(values, sweep.baseline)
    published_base = next(row.published.get(sweep.quantity) for row in sweep.rows if row.name == sweep.baseline)
    return Table(
        sweep=sweep,
        rows=tuple(_row(row, found[row.name], failed[row.name], comparison, published_base) for row in sweep.rows),
        comparison=comparison,
        provenance=_provenance([record for cells in found.values() for record in cells.values()]),
    )


def _row(
    row: Row,
    cells: Mapping[int, Record],
    failures: Mapping[int, Failure],
    comparison: Comparison | None,
    published_base: float | None,
) -> TableRow:
    published = row.published.get(row.config.task.quantity)
    delta = published / published_base - 1 if published and published_base else None
    domains = next(iter(cells.values())).domains if cells else {}
    return TableRow(
        name=row.name,
        parameters=count_parameters(row.config),
        scores={seed: record.score for seed, record in sorted(cells.items())},
        failures=failures,
        domains={name: fmean(record.domains[name] for record in cells.values()) for name in domains},
        tokens_per_second=fmean(record.tokens_per_second for record in cells.values()) if cells else None,
        implementation=", ".join(sorted({record.implementation for record in cells.values()} - {""})),
        contrast=comparison.contrasts.get(row.name) if comparison else None,
        published=published,
        published_delta=delta,
        reference=", ".join(row.references),
    )


def _threads(record: Record) -> str:
    threads = record.provenance["threads"]
    return f"{threads} thread{'s' if threads != 1 else ''}"


def _provenance(records: Sequence[Record]) -> tuple[str, ...]:
    places = {
        f"{record.provenance['machine']}, {_threads(record)} a run, "
        f"torch {record.provenance['torch']}, commit {record.provenance['commit']}"
        for record in records
    }
    return tuple(sorted(places))
