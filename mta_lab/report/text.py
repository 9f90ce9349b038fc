"""Write the notes on the text of a table's runs: an imported tokenizer, and text read often."""

from collections.abc import Iterator, Mapping

from mta_lab.report.table import Table
from mta_lab.results.records import Record

MANY = 4
"""passes; up to about four, repeated text teaches
nearly as well as new text: arXiv 2305.16264"""


def text_notes(table: Table) -> Iterator[str]:
    """Yield notes on the tokenizer of imported tokens, and on more than `MANY` passes over text."""
    runs = [record for row in table.rows for record in row.measured.records.values()]
    imported = [record for record in runs if record.config.get("data", {}).get("tokens")]
    names = sorted({str(record.provenance["tokenizer"]) for record in imported if "tokenizer" in record.provenance})
    if names:
        yield f"Tokenizer: {' and '.join(names)}."
    most: dict[str, float] = {}
    for record in runs:
        for domain, passes in _passes(record):
            most[domain] = max(passes, most.get(domain, 0.0))
    if said := often(most):
        yield f"{said}."


def often(passes: Mapping[str, float]) -> str:
    """Return in words which domains are read more than `MANY` times; empty where none is."""
    many = [f"{domain} {number:.1f}" for domain, number in sorted(passes.items()) if number > MANY]
    said = f"A run reads its training text more than {MANY} times over ({', '.join(many)} passes)"
    return f"{said}: repeated text teaches less than new text" if many else ""


def _passes(record: Record) -> Iterator[tuple[str, float]]:
    """Yield domains with their passes; records of other versions and other hands may have none."""
    found = record.provenance.get("passes")
    if isinstance(found, dict):
        yield from ((str(name), float(one)) for name, one in found.items() if isinstance(one, int | float))
