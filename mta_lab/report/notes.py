"""Write the notes below a sweep's table: what a reader has to know besides the numbers."""

from collections import Counter
from collections.abc import Sequence

from mta_lab.report import arithmetic, numbers
from mta_lab.report.table import Table
from mta_lab.results.failures import Attempt
from mta_lab.stats.contrasts import LEVEL, POWER
from mta_lab.sweep.ledger import cautions, entries, ledger, printed_name
from mta_lab.words import counted
from mta_lab.workspace import RESULTS

PAPER_SCALE = {
    "language": "880M parameters, 105B tokens",
    "find_block": "4 layers of width 256, 100,000 steps of 64 sequences",
}
"""the paper's sections 4.2 and 4.1"""
TOY_SIZE = 256, 4, 100_000, 64  # width, layers, steps, sequences a step


def notes(table: Table) -> tuple[str, ...]:
    """Return the notes, the most important first."""
    lines = [table.sweep.about] if table.sweep.about else []
    lines += [*table.sweep.left_out_notes, *_search(table), badge(table)]
    if len(table.rows) > 1:
        lines += [_deltas(table), *_controls(table), *_agreement(table), *_equal_time(table)]
    lines += [*arithmetic.note(table), *_contended(table)]
    total = len(table.rows) * len(table.sweep.seeds)
    if table.finished < total:
        lines.append(f"{table.finished} of {counted(total, 'run')} finished; a mean is over those of its row.")
    lines += [*_failed(table), *_finished_later(table)]
    lines += _implementations(table)
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
        f"{row.name} seed {seed}: finished at attempt {len(attempts) + 1} ({_kinds(attempts)})."
        for row in table.rows
        for seed, attempts in row.measured.attempts.items()
        if seed in row.measured.scores
    ]


def _kinds(attempts: Sequence[Attempt]) -> str:
    return ", ".join(attempt.kind.replace("_", " ") for attempt in attempts)


def _search(table: Table) -> list[str]:
    """Return the values that a search found for each template, or that it has not run."""
    search, winners = table.sweep.search, table.sweep.winners
    if search is None:
        return []
    lines = []
    for row in search.templates:
        if row not in winners or not winners[row].values:
            lines.append(f"{row}: its search has not run; it stands at the lower ends of its ranges.")
            continue
        best = "; ".join(
            ", ".join(f"{name} {_short(value)}" for name, value in values.items()) for values in winners[row].values
        )
        ended = winners[row].trials
        of = (
            counted(ended, "trial")
            if ended >= search.trials
            else f"{counted(ended, 'trial')} so far, of {search.trials},"
        )
        lines.append(f"{row}: best of {of} on the validation text: {best}. Scored here on test.")
    return lines


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def badge(table: Table) -> str:
    """Return a sentence on our scale and the paper's."""
    sweep = table.sweep
    sizes = sorted(row.measured.cost.parameters for row in table.rows)
    ours = " to ".join(dict.fromkeys(numbers.count(size) for size in (sizes[0], sizes[-1])))
    runs = [row.config for row in sweep.rows]
    tokens = max(run.training.steps * run.tokens_per_step for run in runs)
    said = f"Scale {sweep.scale}: {ours} parameters, {numbers.count(tokens)} training tokens"
    printed = any(row.published.references for row in table.rows)
    theirs = PAPER_SCALE.get(runs[0].task.name) if printed else None  # a user's own task is not the paper's
    if theirs is None:
        return f"{said}."
    return f"{said}; the paper's: {theirs}. {_comparable(table)}"


def _comparable(table: Table) -> str:
    """Return a sentence on which values may be compared with the paper's."""
    runs = [row.config for row in table.sweep.rows]
    sizes = {(run.model.width, run.model.layers, run.training.steps, run.training.batch_size) for run in runs}
    if runs[0].task.name == "find_block" and sizes == {TOY_SIZE}:
        return "Error rates are comparable with the paper's, but for training sequences, which are drawn afresh here."
    counts = {row["parameters"] for row in ledger()["table8"].values()}
    if counts & {row.measured.cost.parameters for row in table.rows}:
        return "Parameters are comparable with Table 8's; scores, on other text, are not: compare signs and ranks."
    return "Values are not comparable with the paper's; compare signs and ranks."


def _deltas(table: Table) -> str:
    against = f"{table.baselines[0]}, " if len(table.baselines) == 1 else "the row's baseline, "
    comparison = table.comparison
    if not comparison.contrasts:
        return "delta: needs the baseline, another row and two seeds."
    if table.sweep.metric.is_share:
        method = "Newcombe's interval, in which seeds that disagree are worth few test sequences each"
    else:
        several = len(table.baselines) > 1
        floors = [
            (f"{name} " if several else "") + f"{noise.deviation:.2%} ({counted(noise.degrees, 'degree')} of freedom)"
            for name, noise in comparison.noise.items()
        ]
        method = f"paired over seeds; noise of one run {', '.join(floors) or 'unknown'}, on one fixed validation text"
    return (
        f"delta: against {against}{method}. Resolved: at {LEVEL:.0%} after Holm's correction over "
        f"{counted(comparison.planned, 'row')}; else unresolved (seeds in all that resolve this delta with "
        f"{POWER:.0%} power at {LEVEL:.0%}/{comparison.planned})."
    )


def _controls(table: Table) -> list[str]:
    lines = []
    for row in table.rows:
        measured = row.measured
        if measured.role != "A/A":
            continue
        if measured.passed is None or measured.contrast is None:
            outcome = "not all seeds are there yet"
        elif measured.passed:
            outcome = f"passed, p = {measured.contrast.p:.2g} uncorrected"
        else:
            outcome = f"FAILED, p = {measured.contrast.p:.2g} uncorrected; in a sound table 1 in 20 does"
        lines.append(
            f"A/A row {row.name}: {measured.baseline} again on a random stream of its own, so tested unpaired, by "
            f"its own noise: {outcome}."
        )
    return lines


def _agreement(table: Table) -> list[str]:
    found = table.agreement
    if not found.published:
        return []
    tau = ""
    if found.tau is not None:
        around = (
            f" [{found.tau_interval[0]:+.2f}, {found.tau_interval[1]:+.2f}]" if found.tau_interval else " (no interval)"
        )
        tau = f"; Kendall's tau of the ranking {found.tau:+.2f}{around} over {counted(found.tau_rows, 'row')}"
    return [
        f"Against {_sources(table)}: {_signs(table)}{tau}; "
        f"{found.finished} of {counted(found.published, 'published row')} finished.",
        *_undecided(table),
        *cautions([name for row in table.rows for name in row.published.references]),
    ]


def _signs(table: Table) -> str:
    """Return in how many resolved rows the sign is the published one, or why none counts."""
    found = table.agreement
    resolved = sum(row.measured.resolved for row in table.rows if row.measured.role == "row")
    if found.resolved:
        rows = counted(found.resolved, "resolved row")
        signs = f"{found.same_sign} of {rows} {'agrees' if found.resolved == 1 else 'agree'} in sign"
    elif resolved:
        signs = f"of {counted(resolved, 'resolved row')}, none has a published difference that is decided"
    else:
        signs = "no row resolved"
    return signs + (f" ({found.undecided} left out as undecided)" if found.undecided else "")


def _undecided(table: Table) -> list[str]:
    if not any(row.published.undecided for row in table.rows):
        return []
    return [
        "Published differences in brackets are undecided: no more than the standard deviation printed with either "
        "value, or than the 0.02 by which perplexities of one model differ in the paper. Their signs are not counted."
    ]


def _sources(table: Table) -> str:
    """Return the paper's tables with the number of our rows in each, then other sources."""
    references = [name for row in table.rows for name in row.published.references]
    known = Counter(printed_name(name.partition(".")[0]) for name in references if name in entries())
    others = dict.fromkeys(name for name in references if name not in entries())
    tables = ", ".join(f"{name} ({counted(rows, 'row')})" if rows > 1 else name for name, rows in known.items())
    return ", ".join([*([f"the paper (arXiv 2504.00927, {tables})"] if tables else []), *others])


def _equal_time(table: Table) -> list[str]:
    if all(row.measured.equal_time_delta is None for row in table.rows):
        return []
    several = " Times come from several machines or versions." if len(table.provenance) > 1 else ""
    return [
        "Equal time: the slower one's validation curve read at the faster one's training time, where its learning rate "
        f"has not decayed; not tested.{several}"
    ]


def _contended(table: Table) -> list[str]:
    """Return a note on runs that shared the cores with other work, or none."""
    shared = {row.name: sum(record.contended is True for record in row.measured.records.values()) for row in table.rows}
    rows = ", ".join(f"{row} ({count})" for row, count in shared.items() if count)
    if not rows:
        return []
    return [
        f"{counted(sum(shared.values()), 'run')} shared the cores with other work (by row: {rows}): their times and "
        "tokens a second are no measure of the model's cost. Scores do not depend on it."
    ]


def _implementations(table: Table) -> list[str]:
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.measured.implementation:
            rows.setdefault(row.measured.implementation, []).append(row.name)
    if not rows:
        return []
    most, *others = sorted(rows, key=lambda how: -len(rows[how]))
    exceptions = "".join(f"; {how}: {', '.join(rows[how])}" for how in others)
    return [f"Attention computed by {most}{exceptions}."]
