"""`results mark`: written tables say whether they are what their sweeps would come to today."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mta_lab.cli.common import CORPORA, make_console
from mta_lab.config import DataConfig, RunConfig
from mta_lab.data import find
from mta_lab.errors import UserError


def mark(files: Sequence[Path]) -> None:
    """Mark each table, and print what has changed since it was written."""
    from mta_lab.report import stale

    console = make_console()
    tables = {file: stale.read(file) for file in files}  # a file that is no table is said before any is written
    for file, table in tables.items():
        found = stale.changed_since_written(table, _text_here)
        stale.mark(file, found)
        console.print(f"{file}: {'stale: ' + '; '.join(found) if found else 'as it would be today'}", soft_wrap=True)


def _text_here(config: RunConfig) -> str:
    return _hash(config.data, config.model.vocabulary) if config.reads_text else ""


@cache
def _hash(data: DataConfig, vocabulary: int) -> str:
    """The hash of a text that is prepared here, or nothing."""
    try:
        corpus = find(data, vocabulary, CORPORA)
    except UserError:  # a folder of somebody else's
        return ""
    return corpus.content_hash if corpus else ""
