"""The cells of a sweep with what identifies each, and which of them are missing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.data.batches import window_starts
from mta_lab.data.mixture import shares
from mta_lab.errors import UserError
from mta_lab.records import Record, Records
from mta_lab.states import State, changed_since, latest, outdated, states_of
from mta_lab.sweep import Cell, Sweep


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell together with what identifies it."""

    cell: Cell
    content_hash: str
    """of the text it reads; empty for a synthetic task"""
    fingerprint: str


def tasks_of(sweep: Sweep, open_corpus: Callable[[Cell], Corpus]) -> list[Task]:
    """The sweep's cells with their fingerprints, in the order they should run; `open_corpus` is for those with text."""
    return [task_of(cell, open_corpus) for cell in sweep.cells()]


def task_of(cell: Cell, open_corpus: Callable[[Cell], Corpus]) -> Task:
    """One cell with its fingerprint."""
    content_hash = ""
    if cell.config.reads_text:
        corpus = open_corpus(cell)
        _check_length(cell, corpus)
        _check_mixture(cell, corpus)
        content_hash = corpus.content_hash
    return Task(cell=cell, content_hash=content_hash, fingerprint=fingerprint(cell.config, content_hash))


def _check_length(cell: Cell, corpus: Corpus) -> None:
    """Refuse a context or a split that some domain's text cannot fill, before anything starts."""
    config = cell.config
    shortest = min(corpus.domains, key=lambda domain: min(domain.train_tokens, domain.valid_tokens))
    tokens = min(shortest.train_tokens, shortest.valid_tokens)
    if tokens <= config.model.context:
        given = f"model.context: got {config.model.context}"
        raise UserError(f"{cell.label}: {given}, allowed: fewer than the {tokens} tokens of domain '{shortest.name}'")
    shortest = min(corpus.domains, key=lambda domain: domain.valid_tokens)
    limit, split = config.training.validation_tokens, config.data.evaluate
    try:
        window_starts(shortest.valid_tokens, limit=limit, context=config.model.context, evaluate=split)
    except UserError as error:
        raise UserError(f"{cell.label}: {error} of domain '{shortest.name}'") from None


def _check_mixture(cell: Cell, corpus: Corpus) -> None:
    """Refuse shares of other domains than the text has."""
    try:
        shares(cell.config.data, [domain.name for domain in corpus.domains])
    except UserError as error:
        raise UserError(f"{cell.label}: {error}") from None


def next_task(pending: Sequence[Task], seconds: Mapping[str, float]) -> Task:
    """The task to start next: seeds in their order, and within a seed the row that takes longest.

    So the cells that run last are short, and no worker waits long for another at the end. Rows that nothing is known
    about go first, in the sweep's order.
    """
    alike = [task for task in pending if task.cell.seed == pending[0].cell.seed]
    return max(alike, key=lambda task: seconds.get(task.cell.row, math.inf))


def states(tasks: Sequence[Task], records: Records) -> dict[str, State]:
    """Return what became of each task, by fingerprint."""
    return states_of({task.fingerprint: task.cell.config for task in tasks}, records)


def refuse_damaged(tasks: Sequence[Task], found: Mapping[str, State], records: Records) -> None:
    """Raise UserError where the record of a finished task cannot be used: a launch would count it and lack it."""
    for task in tasks:
        if found[task.fingerprint] == "finished":
            records.finished(task.fingerprint)


def in_state(tasks: Sequence[Task], found: Mapping[str, State], *wanted: State) -> list[Task]:
    """The tasks that are `found` in one of the `wanted` states, one for each fingerprint, in their order."""
    unique = {task.fingerprint: task for task in tasks}
    return [task for name, task in unique.items() if found[name] in wanted]


def to_train(tasks: Sequence[Task], found: Mapping[str, State], *, rerun_stale: bool) -> list[Task]:
    """Return what a launch trains: pending cells, and stale ones if asked to; failed ones are for `mta-lab retry`."""
    return in_state(tasks, found, "pending", "stale") if rerun_stale else in_state(tasks, found, "pending")


def why_stale(task: Task, records: Records) -> str:
    """Return what changed since the last result of a stale task was measured."""
    return changed_since(last_result(task, records), task.cell.config, task.content_hash)


def last_result(task: Task, records: Records) -> Record:
    """The last result of a stale task's settings."""
    return latest(outdated({task.fingerprint: task.cell.config}, records)[task.fingerprint], records)
