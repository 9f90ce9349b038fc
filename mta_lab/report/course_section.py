"""Write deltas along training: as a section of a table's page, as a note, and as JSON."""

from typing import Any

from mta_lab.report import numbers
from mta_lab.report.course import Courses
from mta_lab.report.limits import size
from mta_lab.report.page import Line, Section
from mta_lab.report.table import Table
from mta_lab.stats.contrasts import LEVEL, Contrast
from mta_lab.words import counted_are

TITLE = "Delta along training"


def course_section(table: Table) -> list[Section]:
    """Return each row's delta after so many tokens; nothing where no row has a course."""
    found = table.courses
    if found is None:
        return []
    header = ("row", *map(numbers.count, found.tokens), _since(found), "at the end")
    lines = tuple(
        Line(cells=(row, *(_written(delta, table) for delta in (*course.deltas, course.late)), course.state))
        for row, course in found.rows.items()
    )
    unit = "%, " if table.sweep.metric.scale == "relative" else ""
    return [Section(title=f"{TITLE}, {unit}after so many tokens [95 %]", header=header, lines=lines)]


def _since(found: Courses) -> str:
    return f"change from {numbers.count(found.half)} on"


def _written(contrast: Contrast | None, table: Table) -> str:
    if contrast is None:
        return "-"
    scale, ends = table.sweep.metric.scale, (contrast.delta, contrast.low, contrast.high)
    delta, low, high = (f"{100 * one:+.1f}" if scale == "relative" else numbers.delta(one, scale) for one in ends)
    return f"{delta} [{low}, {high}]"


def course_note(table: Table) -> list[str]:
    """Return which deltas still move when training ends, and which are at rest."""
    found = table.courses
    if found is None:
        return []
    states = [course.state for course in found.rows.values()]
    moving, rest, untold = (states.count(state) for state in ("moving", "at rest", "not told"))
    told = f"{counted_are(moving, 'row')} moving and {rest} at rest; of {untold} neither is told"
    since, within = numbers.count(found.half), size(table.comparison.terms.within, table.sweep.metric)
    return [
        "Along training: deltas on the validation text; before the end, the learning rate has not decayed. At the end, "
        f"{told}. A row is moving if its delta has changed from {since} tokens on, at {LEVEL:.0%} after Holm's "
        f"correction over the rows, and at rest if it has changed by less than {within} (two one-sided tests). Nothing "
        "is extrapolated: a delta is of the tokens that were read."
    ]


def courses_document(table: Table) -> dict[str, Any] | None:
    """Return the courses for JSON; None where no row has one."""
    found = table.courses
    if found is None:
        return None
    return {
        "tokens": list(found.tokens),
        "late_from": found.half,
        "rows": {
            row: {
                "deltas": [delta and delta.delta for delta in course.deltas],
                "intervals": [delta and [delta.low, delta.high] for delta in course.deltas],
                "late_change": course.late.delta,
                "late_interval": [course.late.low, course.late.high],
                "p_holm": course.p_holm,
                "p_equal": course.p_equal,
                "state": course.state,
            }
            for row, course in found.rows.items()
        },
    }
