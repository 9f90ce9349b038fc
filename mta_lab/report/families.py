"""Count the claims that several tables make together, and control their false alarms over all.

Each table holds its own rows at 5 % (Holm's correction, over looks too). Over N tables, a row is
held at 5 % over all by Bonferroni: its corrected p times N. That is valid however the tables hang
together, as those that share runs do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mta_lab.report.measured import Measured
from mta_lab.report.table import Table
from mta_lab.stats.contrasts import LEVEL
from mta_lab.words import counted


@dataclass(frozen=True, kw_only=True)
class Families:
    """The tables that compare rows, each a family of claims."""

    count: int
    comparisons: int
    """number of rows that are compared with a baseline, finished or not"""
    own: tuple[str, ...]
    """rows with a verdict in their own table that do not hold over all, as 'sweep: row'"""

    @property
    def chance(self) -> float:
        """Return the chance, at most, that one of them raises a false alarm, each having 5 %."""
        return 1 - (1 - LEVEL) ** self.count


def families_of(tables: Sequence[Table]) -> Families:
    """Return the families of claims that the tables make."""
    compared = {table.sweep.name: [row for row in table.rows if row.measured.role == "row"] for table in tables}
    count = sum(bool(rows) for rows in compared.values())
    return Families(
        count=count,
        comparisons=sum(map(len, compared.values())),
        own=tuple(
            f"{name}: {row.name}"
            for name, rows in compared.items()
            for row in rows
            if (row.measured.resolved or row.measured.equal) and not holds(row.measured, count)
        ),
    )


def holds(row: Measured, families: int) -> bool:
    """Return True if a row's verdict holds at 5 % over so many tables."""
    differs = row.resolved and row.p_holm is not None and row.p_holm * families < LEVEL
    equal = row.equal and row.p_equal is not None and row.p_equal * families < LEVEL
    return differs or equal


def families_note(families: Families) -> str:
    """Return how many claims are made, and which do not hold over all tables."""
    if families.count < 2:
        return ""
    sweeps = counted(families.count, "sweep")
    said = (
        f"{counted(families.comparisons, 'comparison')} in {sweeps}: each sweep holds its own at 5 %, so that by "
        f"chance alone at least one raises a false alarm in up to {families.chance:.0%} of such reports. Verdicts "
        f"over all are those that hold at 5 % over all {sweeps} together (Bonferroni over sweeps, after Holm's "
        "correction inside them); claim no other outside the table of its sweep."
    )
    return said + (f" Those that do not: {'; '.join(families.own)}." if families.own else "")
