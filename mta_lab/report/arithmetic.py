"""Find runs of one table that differ by rounding only, and write the note about them."""

from collections.abc import Iterator, Mapping

from mta_lab.report.table import Table
from mta_lab.results.records import Record
from mta_lab.words import counted

NOT_RECORDED = "not recorded"
MOVED = "rounding alone has changed scores by up to 3.4 % at nano"
Runs = Mapping[str, Mapping[str, list[str]]]
"""part ('fused, fp32') -> its arithmetic, as recorded -> runs, as 'row seed 0'"""


def mixed(table: Table) -> Runs:
    """Return the parts that some runs of the table computed in different arithmetic.

    Runs share such a part by name, but not to the bit. Empty where there is none.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for run, record in _runs(table):
        for part, bits in _parts(record).items():
            found.setdefault(part, {}).setdefault(bits, []).append(run)
    return {part: runs for part, runs in sorted(found.items()) if len(runs) > 1}


def _runs(table: Table) -> Iterator[tuple[str, Record]]:
    """Yield the finished runs by name, `row seed 0`, with their records."""
    for row in table.rows:
        for seed, record in sorted(row.measured.records.items()):
            yield f"{row.name} seed {seed}", record


def _parts(record: Record) -> Mapping[str, str]:
    """Return the arithmetic of each part of a run.

    A run of an earlier version recorded only what computed its attention; its arithmetic is
    `NOT_RECORDED`.
    """
    if record.arithmetic:
        return record.arithmetic
    precision = record.config["training"].get("precision", "fp32")
    return {f"{name}, {precision}": NOT_RECORDED for name in record.implementations}


def note(table: Table) -> list[str]:
    """Return a note for each way in which the table's runs differ in arithmetic, or none."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for part, runs in mixed(table).items():
        groups = sorted(runs.items(), key=lambda group: -len(group[1]))
        said = [
            f"{counted(len(groups[0][1]), 'run')} ({groups[0][0]})",
            *(_group(bits, runs) for bits, runs in groups[1:]),
        ]
        alike.setdefault(tuple(said), []).append(part)
    return [
        f"Mixed arithmetic: {' and '.join(parts)} did not compute all runs to the same bits (another processor, "
        f"compiler, torch or version of the kernels): {'; '.join(said)}. Differences between these runs are not due to "
        f"the rows alone: {MOVED}."
        for said, parts in alike.items()
    ]


RESUMED = {
    "micro_batches": "Resumed with another micro-batch, in sequences read at a time",
    "machines": "Resumed across kinds of machine",
}
"""by what provenance lists of the parts of a run"""


def resumed_notes(table: Table) -> list[str]:
    """Return a note for each way in which runs went on otherwise than they had begun."""
    lines = []
    for key, how in RESUMED.items():
        changed = [
            f"{run} ({', then '.join(map(str, parts))})"
            for run, record in _runs(table)
            if len(parts := record.provenance.get(key, ())) > 1
        ]
        if changed:
            lines.append(
                f"{how}: {', '.join(changed)}. Each step is that of an uninterrupted run up to rounding, about 1e-6 in "
                "fp32, and not to the bit."
            )
    return lines


def devices_note(table: Table) -> list[str]:
    """Return a note where runs of the table trained on different numbers of devices."""
    runs: dict[int, list[str]] = {}
    for run, record in _runs(table):
        runs.setdefault(record.provenance.get("devices_per_run", 1), []).append(run)
    if len(runs) < 2:
        return []
    (devices, most), *others = sorted(runs.items(), key=lambda group: -len(group[1]))
    said = "; ".join(f"{', '.join(some)} on {number}" for number, some in others)
    return [
        f"Devices a run: {counted(len(most), 'run')} on {devices}; {said}. Each step is the same up to rounding, about "
        f"1e-6 in fp32, and not to the bit: {MOVED}."
    ]


def _group(bits: str, runs: list[str]) -> str:
    return f"{', '.join(runs)} ({bits})"
