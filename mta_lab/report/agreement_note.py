"""Write the note on a table's agreement with the paper."""

from collections import Counter

from mta_lab.report.table import Table
from mta_lab.stats.likeness import Likeness
from mta_lab.sweep.ledger import cautions, entry_of, paper_ledger
from mta_lab.words import counted


def agreement_note(table: Table) -> list[str]:
    """Return the agreement in signs, values and ranks beside chance; nothing without a paper."""
    found = table.agreement
    if not found.published:
        return []
    return [
        f"Agreement with {_sources(table)}: {_signs(table)}{_likeness(table)}. "
        f"{found.finished} of {counted(found.published, 'published row')} finished.",
        *_undecided(table),
        *cautions([name for row in table.rows for name in row.published.references]),
    ]


def _signs(table: Table) -> str:
    """Return in how many resolved rows the sign is the published one, or why none counts."""
    found = table.agreement
    resolved = sum(row.measured.resolved for row in table.rows if row.measured.role == "row")
    if found.resolved and found.chance is not None:
        rows = counted(found.resolved, "resolved row")
        signs = (
            f"{found.same_sign} of {rows} {'agrees' if found.resolved == 1 else 'agree'} in sign; to say that each "
            f"improves on its baseline agrees in {found.published_better}, and signs at random agree as often in "
            f"{_share(found.chance)} of draws"
        )
    elif resolved:
        signs = f"{counted(resolved, 'resolved row')}, none with a published difference beyond the paper's noise"
    else:
        signs = "no row resolved"
    return signs + (f" ({found.undecided} left out as undecided)" if found.undecided else "")


def _likeness(table: Table) -> str:
    """Return the correlation and Kendall's tau with intervals, and the chance of such a tau."""
    found = table.agreement
    if found.correlation is None or found.tau is None:
        return ""
    around = " (in brackets: 95 % interval of what it would be without noise, ours and the paper's)"
    return (
        f". Over {counted(found.rows, 'row')}, correlation {in_numbers(found.correlation)} and Kendall's tau of the "
        f"ranking {in_numbers(found.tau)}{around if found.tau.interval else ''}; rankings at random agree as well in "
        f"{_share(found.tau.chance)} of draws"
    )


def in_numbers(found: Likeness) -> str:
    """Return a coefficient and its interval: `+0.25 [-0.06, +0.53]`."""
    around = " [{:+.2f}, {:+.2f}]".format(*found.interval) if found.interval else ""
    return f"{found.value:+.2f}{around}"


def _share(chance: float) -> str:
    return f"{chance:.1%}" if chance < 0.1 else f"{chance:.0%}"


def _undecided(table: Table) -> list[str]:
    if not any(row.published.undecided for row in table.rows):
        return []
    return [
        "A published difference in brackets is undecided: it is no larger than the standard deviation printed with "
        "either value, or than 0.02, by which perplexities of one model differ in the paper. Its sign is not counted."
    ]


def _sources(table: Table) -> str:
    """Return each paper with its tables and the number of our rows in each, then other sources."""
    papers: dict[str, Counter[str]] = {}
    others: dict[str, None] = {}
    for reference in (name for row in table.rows for name in row.published.references):
        if found := entry_of(reference):
            ledger, entry = found
            paper = "the paper (arXiv 2504.00927" if ledger == paper_ledger() else ledger.paper.removesuffix(")")
            papers.setdefault(paper, Counter())[ledger.printed_name(entry.partition(".")[0])] += 1
        else:
            others[reference] = None
    told = [
        f"{paper}, "
        + ", ".join(f"{name} ({counted(rows, 'row')})" if rows > 1 else name for name, rows in known.items())
        + (")" if "(" in paper else "")
        for paper, known in papers.items()
    ]
    return ", ".join([*told, *others])
