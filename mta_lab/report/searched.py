"""Show a search: all its trials, and how much each of its values matters."""

from typing import Any

from mta_lab.report.numbers import or_dash
from mta_lab.report.page import Line, Section
from mta_lab.report.table import Table
from mta_lab.sweep.placeholders import label


def trial_sections(table: Table) -> list[Section]:
    """Return a section for each row that is searched: a line a trial, the best first."""
    metric, sections = table.sweep.validated_by, []
    for row, found in table.searched.items():
        if not found.trials:
            continue
        names = list(dict.fromkeys(name for trial in found.trials for name in trial.values))
        ranked = sorted(found.trials, key=lambda one: (one.state != "complete", _loss(table, one.score), one.number))
        lines = tuple(
            Line(
                cells=(
                    str(trial.number),
                    *(shown(trial.values[name]) if name in trial.values else "-" for name in names),
                    or_dash(trial.score, metric.written),
                    trial.state,
                ),
                tone="plain" if trial.state == "complete" else "unresolved",
            )
            for trial in ranked
        )
        header = ("trial", *names, f"{metric.heading}, validation", "end")
        sections.append(Section(title=f"Trials of {row}", header=header, lines=lines))
    return sections


def importance_notes(table: Table) -> list[str]:
    """Return a sentence for each row that is searched on how much its values matter."""
    return [
        f"{row}: of how the scores of its complete trials vary, by fANOVA, "
        + ", ".join(f"{share:.0%} go with {name}" for name, share in found.importance.items())
        + "."
        for row, found in table.searched.items()
        if found.importance
    ]


def shown(value: Any) -> str:
    """Return a value of a trial as tables show it: in three digits, or `6x11` for a kernel."""
    return f"{value:.3g}" if isinstance(value, float) else label(value)


def _loss(table: Table, score: float | None) -> float:
    return float("inf") if score is None else table.sweep.validated_by.loss(score)
