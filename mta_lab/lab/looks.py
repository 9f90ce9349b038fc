"""Say where a sweep's looks were changed after verdicts had been given."""

from collections.abc import Sequence

from mta_lab.errors import UserError
from mta_lab.lab.plan import Plan
from mta_lab.report import Table
from mta_lab.results.looks import UsedLooks, keep_looks
from mta_lab.stats.contrasts import LEVEL
from mta_lab.stats.looks import levels
from mta_lab.strict import FaultError
from mta_lab.words import listed
from mta_lab.workspace import LOOKS


def changed_looks(plan: Plan, table: Table) -> tuple[str, ...]:
    """Keep the looks that a table has used, and return a remark if its sweep has used others."""
    baseline = next(row.measured for row in table.rows if row.name == table.sweep.baseline)
    used = max((row.measured.looks_used for row in table.rows), default=0)
    if not baseline.records or not used or not plan.records.directory.is_dir():
        return ()
    first = baseline.records[min(baseline.records)].fingerprint
    now = UsedLooks(first, tuple(len(seeds) for seeds in table.sweep.look_seeds), used)
    try:
        others = keep_looks(plan.records.directory, table.sweep.shown_as, now)
    except FaultError as error:
        file = plan.records.directory / LOOKS
        return (f"{file} cannot be read ({error}), so that nobody knows at which looks verdicts were given before",)
    except UserError:  # a directory that only others may write
        return ()
    return (_remark(others),) if others else ()


def _remark(others: Sequence[UsedLooks]) -> str:
    given = ", then ".join(f"{listed([*map(str, one.looks[: one.used])])} seeds" for one in others)
    spent = LEVEL + sum(sum(levels(one.looks)[: one.used]) for one in others)
    return (
        f"looks changed after looking: verdicts were given at {given} before, under other looks than these; the chance "
        f"of a false alarm in this table is up to {min(spent, 1.0):.0%}, not {LEVEL:.0%}"
    )
