"""Write a table's effects by factor: as a section of its page, as a note, and as JSON."""

from typing import Any

from components.metrics import Scale
from mta_lab.report import numbers
from mta_lab.report.effects import Effects, Half
from mta_lab.report.numbers import or_dash
from mta_lab.report.page import Line, Section
from mta_lab.report.table import Table
from mta_lab.stats.contrasts import LEVEL
from mta_lab.words import counted

TITLE = "Effects by factor, over all rows"


def effects_section(table: Table) -> list[Section]:
    """Return the effects, ours beside the paper's; nothing where the rows are no factorial."""
    found = table.effects
    if found is None:
        return []
    scale = table.sweep.metric.scale
    points = ", points" if scale == "points" else ""
    header = ["effect of", "rows", f"effect{points} [95 %]", "p (Holm)"]
    if found.paper:
        header.append(f"paper: effect{points} [95 %]")
    lines = [
        Line(
            cells=(
                effect.name,
                f"{len(effect.column.rows)} of {len(found.design.rows)}",
                _written(effect.ours, scale),
                f"{effect.p_holm:.2g}",
                *([or_dash(effect.paper, lambda half: _written(half, scale))] if found.paper else []),
            ),
            tone="resolved" if effect.resolved else "unresolved",
        )
        for effect in found.effects
    ]
    return [Section(title=TITLE, header=tuple(header), lines=tuple(lines))]


def _written(half: Half, scale: Scale) -> str:
    value, low, high = (numbers.delta(one, scale) for one in (half.value, half.low, half.high))
    return f"{value} [{low}, {high}]"


def effects_note(table: Table) -> list[str]:
    """Return what the effects are fitted to, how well they fit, and what they leave out."""
    found = table.effects
    if found is None:
        return []
    what = "score" if table.sweep.metric.is_share else f"log({table.sweep.metric.words})"
    said = [
        f"Effects by factor: {what} fitted by least squares over {counted(len(found.design.rows), 'row')}, against the "
        f"levels of {found.design.baseline}, as if effects added up. They explain {found.fit.explained:.0%} of the "
        f"variance between rows{_unfit(found)}",
        f"Intervals (Student's t, {counted(found.fit.degrees, 'degree')} of freedom) cover the noise of the runs and "
        f"the lack of fit; p is after Holm's correction over {counted(len(found.effects), 'effect')}",
    ]
    if found.paper:
        rows = counted(found.paper_rows, "row")
        said.append(f"The paper's: the same fit to its {rows}, of which it explains {found.paper.explained:.0%}")
    if found.design.left_out:
        said.append(f"Left out, as another attention: {', '.join(found.design.left_out)}")
    if found.unfinished:
        seeds, rows = counted(len(table.counted_seeds), "seed"), counted(found.unfinished, "row")
        said.append(f"Left out, as not all of {seeds} have finished: {rows}")
    if found.untold:
        names = "; ".join(" + ".join(column.names) for column in found.untold)
        said.append(f"Not told apart by these rows: {names}")
    if found.design.beyond:
        said.append(f"These differ, too, and count as lack of fit: {', '.join(found.design.beyond)}")
    return [f"{'. '.join(said)}."]


def _unfit(found: Effects) -> str:
    p = found.fit.lack_of_fit
    if p is None:
        return ""
    if p < LEVEL:
        return f"; the rest is more than noise (lack of fit, p = {p:.2g}): effects depend on the other settings"
    return f"; the rest may be noise (lack of fit, p = {p:.2g})"


def effects_document(table: Table) -> dict[str, Any] | None:
    """Return the effects for JSON; None where the rows are no factorial."""
    found = table.effects
    if found is None:
        return None
    return {
        "baseline": found.design.baseline,
        "rows": list(found.design.rows),
        "left_out": list(found.design.left_out),
        "not_told_apart": [list(column.names) for column in found.untold],
        "no_factors": list(found.design.beyond),
        "degrees_of_freedom": found.fit.degrees,
        "explained": found.fit.explained,
        "lack_of_fit_p": found.fit.lack_of_fit,
        "published_explained": found.paper.explained if found.paper else None,
        "published_rows": found.paper_rows,
        "effects": [
            {
                "names": list(effect.column.names),
                "rows": list(effect.column.rows),
                "effect": effect.ours.value,
                "interval": [effect.ours.low, effect.ours.high],
                "p_holm": effect.p_holm,
                "resolved": effect.resolved,
                "published_effect": effect.paper and effect.paper.value,
                "published_interval": effect.paper and [effect.paper.low, effect.paper.high],
            }
            for effect in found.effects
        ],
    }


def effect_columns(table: Table, row: str) -> dict[str, float]:
    """Return the columns of a row in CSV: the main effect of each factor whose level it has."""
    columns: dict[str, float] = {}
    for effect in table.effects.effects if table.effects else ():
        if row in effect.column.rows:
            name, ours, paper = f"effect.{effect.name}", effect.ours, effect.paper
            columns |= {f"row.{name}": ours.value, f"row.{name}.low": ours.low, f"row.{name}.high": ours.high}
            columns |= {f"row.{name}.p_holm": effect.p_holm}
            columns |= {f"published_{name}": paper.value} if paper else {}
    return columns
