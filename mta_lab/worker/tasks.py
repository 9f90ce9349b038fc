"""The cells of a sweep with what identifies each, and which of them are missing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.records import Records
from mta_lab.sweep import Cell, Sweep


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell together with the text it reads and what identifies it."""

    cell: Cell
    corpus: Corpus
    fingerprint: str


def tasks_of(sweep: Sweep, open_corpus: Callable[[Cell], Corpus]) -> list[Task]:
    """The sweep's cells with their fingerprints, in the order they should run."""
    tasks = []
    for cell in sweep.cells():
        corpus = open_corpus(cell)
        _check_length(cell, corpus)
        identity = fingerprint(cell.config, corpus.content_hash)
        tasks.append(Task(cell=cell, corpus=corpus, fingerprint=identity))
    return tasks


def _check_length(cell: Cell, corpus: Corpus) -> None:
    """Refuse a context that some domain's text cannot fill, before anything starts."""
    shortest = min(corpus.domains, key=lambda domain: min(domain.train_tokens, domain.valid_tokens))
    tokens = min(shortest.train_tokens, shortest.valid_tokens)
    if tokens <= cell.config.model.context:
        given = f"model.context: got {cell.config.model.context}"
        raise UserError(f"{cell.label}: {given}, allowed: fewer than the {tokens} tokens of domain '{shortest.name}'")


def next_task(pending: Sequence[Task], seconds: Mapping[str, float]) -> Task:
    """The task to start next: seeds in their order, and within a seed the row that takes longest.

    So the cells that run last are short, and no worker waits long for another at the end. Rows that nothing is known
    about go first, in the sweep's order.
    """
    alike = [task for task in pending if task.cell.seed == pending[0].cell.seed]
    return max(alike, key=lambda task: seconds.get(task.cell.row, math.inf))


def missing(tasks: Sequence[Task], records: Records) -> list[Task]:
    """The tasks without a record, one for each fingerprint, in their order."""
    unique = {task.fingerprint: task for task in tasks}
    return [task for task in unique.values() if records.finished(task.fingerprint) is None]
