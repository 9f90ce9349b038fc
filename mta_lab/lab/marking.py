"""Written tables that say whether they are what their sweeps would come to today."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mta_lab.config import DataConfig, RunConfig
from mta_lab.data import find
from mta_lab.errors import UserError
from mta_lab.report import stale
from mta_lab.workspace import CORPORA


def mark(files: Sequence[Path]) -> dict[Path, list[str]]:
    """Mark each table, and return what has changed since it was written; nothing where it would be the same today."""
    tables = {file: stale.read(file) for file in files}  # a file that is no table is said before any is written
    changed = {file: stale.changed_since_written(table, _text_here) for file, table in tables.items()}
    for file, found in changed.items():
        stale.mark(file, found)
    return changed


def _text_here(config: RunConfig) -> str:
    return _hash(config.data, config.model.vocabulary) if config.reads_text else ""


@cache
def _hash(data: DataConfig, vocabulary: int) -> str:
    """Return the hash of a text that is prepared here, or nothing."""
    try:
        corpus = find(data, vocabulary, CORPORA)
    except UserError:  # a folder of somebody else's
        return ""
    return corpus.content_hash if corpus else ""
