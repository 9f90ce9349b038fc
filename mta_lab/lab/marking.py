"""Mark written tables whose sweeps would run something else today; fill tables into pages."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mta_lab.config import DataConfig, RunConfig
from mta_lab.data import find
from mta_lab.errors import UserError
from mta_lab.report import stale
from mta_lab.report.fill import fill
from mta_lab.workspace import CORPORA


def mark(files: Sequence[Path]) -> dict[Path, list[str]]:
    """Mark each table that is stale, and return what has changed since each was written.

    The list is empty for a table that would be the same today.
    """
    tables = {file: stale.read(file) for file in files}  # reads all before it writes any: one may be no table
    changed = {file: stale.changed_since_written(table, _text_here) for file, table in tables.items()}
    for file, found in changed.items():
        stale.mark(file, found)
    return changed


def filled(page: Path) -> bool:
    """Fill the page's blocks of results with written tables; return whether that changed it."""
    return fill(page)


def _text_here(config: RunConfig) -> str:
    return _hash(config.data, config.model.vocabulary) if config.reads_text else ""


@cache
def _hash(data: DataConfig, vocabulary: int) -> str:
    """Return the hash of a text that is prepared here, or an empty string."""
    try:
        corpus = find(data, vocabulary, CORPORA)
    except UserError:  # a folder on another machine
        return ""
    return corpus.content_hash if corpus else ""
