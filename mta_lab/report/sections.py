"""Build the small tables of a sweep's page: scores, other evaluations, domains."""

from collections.abc import Callable

from components.metrics import METRICS, Metric
from mta_lab.report import numbers
from mta_lab.report.cost_section import cost, printed_cost
from mta_lab.report.course_section import course_section
from mta_lab.report.effects_section import effects_section
from mta_lab.report.evaluated import evaluated_sections
from mta_lab.report.measured import Measured
from mta_lab.report.numbers import or_dash
from mta_lab.report.page import Column, OurColumn, PaperColumn, Section, section
from mta_lab.report.published import Published
from mta_lab.report.searched import trial_sections
from mta_lab.report.table import Table
from mta_lab.report.tuning import curve_section
from mta_lab.words import counted


def sections(table: Table) -> tuple[Section, ...]:
    """Return a table's sections, as far as it has them, the scores first."""
    found = [scores(table), *effects_section(table), *course_section(table), *cost(table)]
    if (tuning := table.sweep.tuning) and any(curve.scored for curve in tuning.curves.values()):
        found.append(curve_section(table, tuning))
    found += trial_sections(table)
    if any(row.measured.further for row in table.rows):
        found.append(further(table))
    found += evaluated_sections(table)
    if any(row.published.ratios for row in table.rows):
        found.append(printed_cost(table))
    if (
        len(table.rows) == 1 or sum(bool(row.published.domains) for row in table.rows) > 1
    ):  # one published row alone has nothing to be compared with
        found += domains(table)
    return tuple(found)


def scores(table: Table) -> Section:
    """Return each seed's score, the mean, the delta and the verdict, beside the paper's values."""
    metric = table.sweep.metric
    columns: list[Column] = [
        OurColumn(f"{metric.heading}, by seed", seed_runs),
        OurColumn("mean [95 %]" if metric.is_share else "mean", _mean),
    ]
    if len(table.baselines) > 1:
        columns.append(OurColumn("against", lambda row: "-" if row.role == "baseline" else row.baseline))
    if len(table.rows) > 1:
        columns.append(OurColumn("delta, points [95 %]" if metric.is_share else "delta [95 %]", _delta))
        columns.append(OurColumn("verdict", verdict))
    if any(row.published.scored for row in table.rows):
        columns.append(PaperColumn(metric.heading, lambda paper: _printed(paper, metric)))
        columns.append(PaperColumn("delta", _printed_delta))
    return section(metric.heading.capitalize(), columns, table.rows, verdicts=True)


def further(table: Table) -> Section:
    """Return the means by other evaluations of the same models, which are not tested."""
    names = dict.fromkeys(name for row in table.rows for name in row.measured.further)
    columns = [OurColumn(METRICS[name].heading, _further_of(METRICS[name])) for name in names]
    return section("Other evaluations of the same models: means, not tested", columns, table.rows)


def _further_of(metric: Metric) -> Callable[[Measured], str]:
    return lambda row: or_dash(row.further.get(metric.name), metric.written)


def seed_runs(row: Measured) -> str:
    """Return each planned seed's score, or the state of its run."""
    return " ".join(
        row.metric.written(row.scores[seed]) if seed in row.scores else row.status(seed) for seed in row.seeds
    )


def verdict(row: Measured) -> str:
    """Return the verdict on a row's difference, in a word or two."""
    first, used = row.looks[0], len(row.looks) > 1 and 0 < row.looks_used < len(row.looks)
    if not row.looks_used and len(row.scores) < first:
        return f"{len(row.scores)} of {counted(first, 'seed')}"
    if row.role == "baseline":
        return "baseline"
    if not row.baseline_ready:
        return "baseline unfinished"
    if row.contrast is None or not row.testable:
        return "-"
    if row.role == "A/A":
        return "A/A passed" if row.passed else "A/A FAILED"
    close = " (within the margin)" if row.resolved and row.equal else ""
    return f"{row.verdict}{close}{f' (look {row.looks_used} of {len(row.looks)})' if used else ''}"


def _mean(row: Measured) -> str:
    mean = or_dash(row.mean, row.metric.written)
    if row.interval is None:
        return mean
    low, high = map(row.metric.written, row.interval)
    return f"{mean} [{low}, {high}]"


def _delta(row: Measured) -> str:
    if row.contrast is None:
        return "-"
    delta, low, high = (
        numbers.delta(value, row.metric.scale) for value in (row.contrast.delta, row.contrast.low, row.contrast.high)
    )
    return f"{delta} [{low}, {high}]"


def _printed(paper: Published, metric: Metric) -> str:
    value = or_dash(paper.value, metric.written)
    spread = or_dash(paper.deviation, lambda value: f" (sd {metric.written(value)})")
    return value + spread.removeprefix("-")


def _printed_delta(paper: Published) -> str:
    """Return the published difference, in brackets where it is undecided."""
    delta = or_dash(paper.delta, lambda d: numbers.delta(d, paper.scale))
    return f"({delta})" if paper.undecided else delta


def domains(table: Table) -> list[Section]:
    """Return our scores by domain, then the paper's in a table of their own."""
    metric, found = table.sweep.metric, []
    title = f"{metric.heading.capitalize()} by domain"
    ours = dict.fromkeys(name for row in table.rows for name in row.measured.domains)
    if ours:
        found.append(section(title, [OurColumn(name, _domain_of(name, metric)) for name in ours], table.rows))
    rows = [row for row in table.rows if row.published.domains]
    theirs = dict.fromkeys(name for row in rows for name in row.published.domains)
    if theirs:
        columns = [PaperColumn(name, _domain_of(name, metric)) for name in theirs]
        found.append(section(f"{title}, as printed in the paper", columns, rows))
    return found


def _domain_of(name: str, metric: Metric) -> Callable[[Measured | Published], str]:
    def cell(half: Measured | Published) -> str:
        return or_dash(half.domains.get(name), metric.written)

    return cell
