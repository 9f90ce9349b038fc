"""Write the notes below a sweep's table: what a reader has to know besides the numbers."""

from collections.abc import Sequence

from mta_lab.report import arithmetic
from mta_lab.report.agreement_note import agreement_note
from mta_lab.report.controls import controls_note, pairing_note
from mta_lab.report.cost_section import cost_note
from mta_lab.report.course_section import course_note
from mta_lab.report.effects_section import effects_note
from mta_lab.report.evaluated import evaluated_notes
from mta_lab.report.limits import limit_note, look_note, size
from mta_lab.report.searched import importance_notes
from mta_lab.report.sizes import sizes
from mta_lab.report.table import Table
from mta_lab.report.text import text_notes
from mta_lab.report.tuning import tuning_notes
from mta_lab.results.failures import Attempt
from mta_lab.stats.contrasts import LEVEL
from mta_lab.stats.paired import Noise
from mta_lab.sweep.ledger import entry_of, ledger, paper_ledger
from mta_lab.words import counted
from mta_lab.workspace import RESULTS

PAPER_SCALE = {
    "language": "880M parameters, 105B tokens, 120 a parameter",
    "find_block": "4 layers of width 256, 100,000 steps of 64 sequences",
}
"""the paper's sections 4.2 and 4.1"""
TOY_SIZE = 256, 4, 100_000, 64  # width, layers, steps, sequences a step


def notes(table: Table) -> tuple[str, ...]:
    """Return the notes, the most important first."""
    lines = [table.sweep.about] if table.sweep.about else []
    lines += [*table.sweep.left_out_notes, *_search(table), *importance_notes(table), *tuning_notes(table)]
    lines += [*table.sweep.checkpoint_notes, *_stages(table), badge(table)]
    if len(table.rows) > 1:
        lines += [_deltas(table), *limit_note(table), *look_note(table), *effects_note(table), *course_note(table)]
        lines += [*pairing_note(table), *controls_note(table), *agreement_note(table), *cost_note(table)]
    lines += [*arithmetic.note(table), *arithmetic.resumed_notes(table), *arithmetic.devices_note(table)]
    lines += _contended(table)
    total = len(table.rows) * len(table.sweep.seeds)
    if table.finished < total:
        lines.append(f"{table.finished} of {counted(total, 'run')} finished; a row's mean is over its finished runs.")
    lines += [*_failed(table), *_finished_later(table), *_ended_before(table)]
    lines += [*evaluated_notes(table), *_implementations(table)]
    lines += text_notes(table)
    lines += [f"{remark[0].upper()}{remark[1:]}." for remark in table.remarks]
    return (*lines, *(f"Measured on {place}." for place in table.provenance))


def _failed(table: Table) -> list[str]:
    """Return a line for each run whose last attempt failed, named as in this sweep."""
    lines = []
    for row in table.rows:
        for seed, failure in row.measured.failures.items():
            where = f"; traceback in {RESULTS}/failed/{failure.fingerprint}.json" if failure.traceback else ""
            several = len(failure.attempts) > 1
            tries = f"; {counted(len(failure.attempts), 'attempt')}: {_kinds(failure.attempts)}" if several else ""
            lines.append(f"Failed: {row.name} seed {seed}: {failure.reason}{tries}{where}")
    return lines


def _finished_later(table: Table) -> list[str]:
    """Return a line for each run that finished after failed attempts."""
    return [
        f"{row.name} seed {seed}: finished at attempt {len(attempts) + 1}; earlier attempts: {_kinds(attempts)}."
        for row in table.rows
        for seed, attempts in row.measured.attempts.items()
        if seed in row.measured.scores
    ]


def _ended_before(table: Table) -> list[str]:
    """Return which runs ended before their last step, in one line; none where all went on."""
    found = [
        f"{row.name} seed {seed} after {record.steps:,} of {steps:,} steps"
        for row in table.rows
        for seed, record in row.measured.records.items()
        if record.steps < (steps := int(record.config["training"]["steps"]))
    ]
    rule = "Ended by training.stop_after, no validation having been better, and scored where they ended"
    return [f"{rule}: {'; '.join(found)}."] if found else []


def _kinds(attempts: Sequence[Attempt]) -> str:
    return ", ".join(attempt.kind.replace("_", " ") for attempt in attempts)


def _stages(table: Table) -> list[str]:
    """Return what the rows with stages go on from, in one line; none where no row has stages."""
    sweep = table.sweep
    begun: dict[str, list[str]] = {}
    for row in sweep.rows:
        if parent := sweep.parent_of(row):
            begun.setdefault(parent, []).append(row.name)
    if not begun:
        return []
    told = "; ".join(f"{parent} ({', '.join(rows)})" for parent, rows in begun.items())
    return [f"Rows that go on from the weights of another run, with their own costs alone: from {told}."]


def _search(table: Table) -> list[str]:
    """Return the values that a search found for each template, or that it has not run."""
    search, winners = table.sweep.search, table.sweep.winners
    if search is None:
        return []
    lines = []
    for row in search.templates:
        if row not in winners or not winners[row].values:
            lines.append(f"{row}: its search has not run yet, so each value is the lowest of its range.")
            continue
        best = "; ".join(
            ", ".join(f"{name} {_short(value)}" for name, value in values.items()) for values in winners[row].values
        )
        ended = winners[row].trials
        of = (
            counted(ended, "trial")
            if ended >= search.trials_of(row)
            else f"{counted(ended, 'trial')} so far, of {search.trials_of(row)},"
        )
        lines.append(f"{row}: best of {of} on the validation text: {best}. Its score here is on the test text.")
    return lines


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def badge(table: Table) -> str:
    """Return a sentence on our scale and the paper's."""
    sweep = table.sweep
    runs = [row.config for row in sweep.rows]
    said = f"Scale {sweep.scale}: {sizes(runs)}"
    references = [name for row in table.rows for name in row.published.references]
    ledgers = [found[0] for name in references if (found := entry_of(name))]
    if others := [one.scale for one in ledgers if one != paper_ledger()]:
        theirs = "; ".join(dict.fromkeys(filter(None, others)))
        told = f"{said}; the paper's: {theirs}" if theirs else said
        return f"{told}. Values are not comparable; compare signs and ranks."
    scale = PAPER_SCALE.get(runs[0].task.name) if references else None  # a user's own task is not the paper's
    if scale is None:
        return f"{said}."
    return f"{said}; the paper's: {scale}. {_comparable(table)}"


def _comparable(table: Table) -> str:
    """Return a sentence on which values may be compared with the paper's."""
    runs = [row.config for row in table.sweep.rows]
    sizes = {(run.model.width, run.model.layers, run.training.steps, run.training.batch_size) for run in runs}
    if runs[0].task.name == "find_block" and sizes == {TOY_SIZE}:
        return "Error rates are comparable with the paper's, except that training sequences are drawn anew here."
    counts = {row["parameters"] for row in ledger()["table8"].values()}
    if counts & {row.measured.cost.parameters for row in table.rows}:
        return (
            "Parameters are comparable with Table 8's. Scores are on other text and are not; compare signs and ranks."
        )
    return "Values are not comparable with the paper's; compare signs and ranks."


def _deltas(table: Table) -> str:
    against = f"{table.baselines[0]}, " if len(table.baselines) == 1 else "the row's baseline, "
    comparison = table.comparison
    if not comparison.contrasts:
        return "No delta yet: it takes finished runs of a row and of its baseline, under two seeds or more."
    metric, planned = table.sweep.metric, counted(comparison.planned, "row")
    if metric.is_share:
        method = "with Newcombe's interval; the more seeds disagree, the fewer test sequences each of them counts for"
    else:
        several = len(table.baselines) > 1
        floors = [(f"{name} " if several else "") + _floor(noise) for name, noise in comparison.noise.items()]
        method = f"paired by seed; noise of one run {', '.join(floors) or 'unknown'}, on one fixed validation text"
    better = f" A higher {metric.words} is better." if metric.higher_is_better else ""
    margin = size(comparison.terms.within, metric)
    return (
        f"delta: against {against}{method}.{better} A row is better or worse if its delta differs from 0 at "
        f"{LEVEL:.0%} after Holm's correction over {planned}, and equal if it is less than {margin} by two one-sided "
        "tests at the same level; else it is unresolved."
    )


def _floor(noise: Noise) -> str:
    """Return the noise of one run: over all rows, and from the quietest to the noisiest row."""
    by_row = f"; {min(noise.rows):.2%} to {max(noise.rows):.2%} by row" if len(set(noise.rows)) > 1 else ""
    return f"{noise.deviation:.2%} ({counted(noise.degrees, 'degree')} of freedom{by_row})"


def _contended(table: Table) -> list[str]:
    """Return a note on runs that shared the cores with other work, or none."""
    shared = {row.name: sum(record.contended is True for record in row.measured.records.values()) for row in table.rows}
    rows = ", ".join(f"{row} ({count})" for row, count in shared.items() if count)
    if not rows:
        return []
    return [
        f"{counted(sum(shared.values()), 'run')} shared the cores with other work (by row: {rows}), so their times and "
        "tokens a second do not measure the model's cost. Scores are not affected."
    ]


def _implementations(table: Table) -> list[str]:
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.measured.implementation:
            rows.setdefault(row.measured.implementation, []).append(row.name)
    if not rows:
        return []
    most, *others = sorted(rows, key=lambda how: -len(rows[how]))
    exceptions = "".join(f"; by {how} in {', '.join(rows[how])}" for how in others)
    return [f"Attention computed by {most}{exceptions}."]
