"""The runs of a sweep with what identifies each, and which of them are missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mta_lab.config import fingerprint, fingerprints
from mta_lab.data import Corpus
from mta_lab.data.batches import window_starts
from mta_lab.data.mixture import shares
from mta_lab.errors import UserError
from mta_lab.results.records import Record, Records
from mta_lab.results.states import State, changed_since, latest, outdated, states_of
from mta_lab.sweep import PlannedRun, Sweep


@dataclass(frozen=True, kw_only=True)
class Run(PlannedRun):
    """A row under a seed together with what identifies it."""

    content_hash: str
    """of the text it reads; empty for a synthetic task"""
    fingerprint: str

    @classmethod
    def of(cls, planned: PlannedRun, content_hash: str) -> "Run":
        """Return the planned run as one that reads the text of `content_hash`."""
        return cls(
            row=planned.row,
            seed=planned.seed,
            config=planned.config,
            content_hash=content_hash,
            fingerprint=fingerprint(planned.config, content_hash),
        )


def runs_of(sweep: Sweep, open_corpus: Callable[[PlannedRun], Corpus]) -> list[Run]:
    """Return the sweep's runs with their fingerprints, in the order in which they should run.

    `open_corpus` is called for those that read text.
    """
    return identified(sweep, lambda run: _text_of(run, open_corpus))


def identified(sweep: Sweep, text_of: Callable[[PlannedRun], str]) -> list[Run]:
    """Return the sweep's runs with their fingerprints.

    `text_of` returns the content hash of a run's text. It is called once a row, whose runs differ
    in the seed alone.
    """
    rows: dict[str, tuple[str, Mapping[int, str]]] = {}
    found = []
    for run in sweep.runs():
        if run.row not in rows:
            text = text_of(run)
            rows[run.row] = text, fingerprints(run.config, text, sweep.seeds)
        text, names = rows[run.row]
        found.append(Run(row=run.row, seed=run.seed, config=run.config, content_hash=text, fingerprint=names[run.seed]))
    return found


def run_of(run: PlannedRun, open_corpus: Callable[[PlannedRun], Corpus]) -> Run:
    """One run with its fingerprint."""
    return Run.of(run, _text_of(run, open_corpus))


def _text_of(run: PlannedRun, open_corpus: Callable[[PlannedRun], Corpus]) -> str:
    """Return the content hash of the text that a run reads; refuse a text that is too short."""
    if not run.config.reads_text:
        return ""
    corpus = open_corpus(run)
    _check_length(run, corpus)
    _check_mixture(run, corpus)
    return corpus.content_hash


def _check_length(run: PlannedRun, corpus: Corpus) -> None:
    """Refuse a context or a split that some domain's text cannot fill, before anything starts."""
    config, evaluate = run.config, run.config.data.evaluate
    held_out = {domain.name: domain.held_out_tokens(evaluate) for domain in corpus.domains}
    if bare := [name for name, tokens in held_out.items() if not tokens]:
        scored = f"data.evaluate: got '{evaluate}', but no document of domain '{bare[0]}' is held out for it"
        raise UserError(f"{run.label}: {scored}; import the text into another folder, with a larger --held-out")
    smallest = {domain.name: min(domain.train_tokens, held_out[domain.name]) for domain in corpus.domains}
    shortest = min(smallest, key=smallest.__getitem__)
    if smallest[shortest] <= config.model.context:
        given = f"model.context: got {config.model.context}"
        tokens = f"{smallest[shortest]} tokens of domain '{shortest}'"
        raise UserError(f"{run.label}: {given}, allowed: fewer than the {tokens}")
    shortest, limit = min(held_out, key=held_out.__getitem__), config.training.validation_tokens
    _, end = corpus.held_out(evaluate)
    try:
        window_starts(held_out[shortest], limit=limit, context=config.model.context, evaluate=end)
    except UserError as error:
        raise UserError(f"{run.label}: {error} of domain '{shortest}'") from None


def _check_mixture(run: PlannedRun, corpus: Corpus) -> None:
    """Refuse shares of other domains than the text has."""
    try:
        shares(run.config.data, [domain.name for domain in corpus.domains])
    except UserError as error:
        raise UserError(f"{run.label}: {error}") from None


def states(runs: Sequence[Run], records: Records) -> dict[str, State]:
    """Return what became of each run, by fingerprint."""
    return states_of({run.fingerprint: run.config for run in runs}, records)


def refuse_damaged(runs: Sequence[Run], found: Mapping[str, State], records: Records) -> None:
    """Raise UserError if a finished run's record cannot be used.

    A launch would count it as finished and lack its result.
    """
    for run in runs:
        if found[run.fingerprint] == "finished":
            records.finished(run.fingerprint)


def in_state(runs: Sequence[Run], found: Mapping[str, State], *wanted: State) -> list[Run]:
    """Return the runs `found` in one of the `wanted` states, in order, one a fingerprint."""
    unique = {run.fingerprint: run for run in runs}
    return [run for name, run in unique.items() if found[name] in wanted]


def to_train(runs: Sequence[Run], found: Mapping[str, State], *, rerun_stale: bool) -> list[Run]:
    """Return what a launch trains: pending runs, and stale ones if asked to.

    Failed ones are for `mta-lab retry`.
    """
    return in_state(runs, found, "pending", "stale") if rerun_stale else in_state(runs, found, "pending")


def why_stale(run: Run, records: Records) -> str:
    """Return what changed since the last result of a stale run was measured."""
    return changed_since(last_result(run, records), run.config, run.content_hash)


def last_result(run: Run, records: Records) -> Record:
    """Return the last result of a stale task's settings."""
    return latest(outdated({run.fingerprint: run.config}, records)[run.fingerprint], records)
