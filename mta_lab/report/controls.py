"""Check what a table takes for granted: that seeds pair its rows, and that equal rows are equal."""

import numpy as np

from mta_lab.report.limits import size
from mta_lab.report.table import Table
from mta_lab.stats.contrasts import LEVEL
from mta_lab.stats.pairing import Pairing, pairing_of

UNPAIRED = "on a random stream of its own, so that it is tested unpaired and with its own noise"
PAIRED = (
    "under the same seeds by another implementation of its attention, so that it is tested in pairs as all rows are"
)


def pairing(table: Table) -> Pairing | None:
    """Return what the rows tell of their pairing by seed; None where it is not told.

    Shares are not paired. A/A rows are left out: on random numbers of their own, they share nothing
    by seed.
    """
    if table.sweep.metric.is_share:
        return None
    seeds, rows = table.counted_seeds, [row.measured for row in table.rows if row.measured.role != "A/A"]
    scores = [[row.scores[seed] for seed in seeds] for row in rows if all(seed in row.scores for seed in seeds)]
    return pairing_of(np.array(scores)) if scores else None


def pairing_note(table: Table) -> list[str]:
    """Return whether rows go up and down together with the seed."""
    found = pairing(table)
    if found is None:
        return []
    said = (
        f"Pairing by seed: without it, a difference would have {found.times:.1f} times the variance; with each row's "
        f"seeds shuffled, rows go as much together in {max(found.chance, 1 / found.draws):.2g} of draws"
    )
    doubt = ": the rows do not show that a seed means the same to them" if found.chance >= LEVEL else ""
    return [f"{said}{doubt}."]


def controls_note(table: Table) -> list[str]:
    """Return the outcome of each A/A row, and the difference that it would have shown."""
    lines = []
    for row, planned in zip(table.rows, table.sweep.rows, strict=True):
        measured = row.measured
        if measured.role != "A/A":
            continue
        if measured.passed is None or measured.contrast is None:
            outcome = "not all seeds have finished yet"
        else:
            limit, verdict = measured.contrast.limit, "passed" if measured.passed else "FAILED"
            by_chance = "" if measured.passed else "; by chance alone, 1 in 20 A/A rows fails"
            seen = ""
            if limit:
                seen = f". A false difference shows here from {size(limit, measured.metric)} on, most of the time"
            outcome = f"{verdict}, p = {measured.contrast.p:.2g} uncorrected{by_chance}{seen}"
        apart = planned.config.stream != table.sweep.row(measured.baseline).config.stream
        lines.append(f"A/A row {row.name}: {measured.baseline} again, {UNPAIRED if apart else PAIRED}: {outcome}.")
    return lines
