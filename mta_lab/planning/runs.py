"""The runs of a sweep with what identifies each, and which of them are missing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mta_lab.config import fingerprint, fingerprints, identified_by
from mta_lab.config.checkpoint import TOKENIZER
from mta_lab.data import Corpus
from mta_lab.data.batches import window_starts
from mta_lab.data.cache import digest_of
from mta_lab.data.mixture import shares
from mta_lab.errors import UserError
from mta_lab.results.records import Record, Records
from mta_lab.results.states import State, changed_since, latest, outdated, states_of
from mta_lab.sweep import PlannedRun, Sweep
from mta_lab.workspace import in_shell


@dataclass(frozen=True, kw_only=True)
class Run(PlannedRun):
    """A row under a seed together with what identifies it."""

    content_hash: str
    """of the text it reads; empty for a synthetic task"""
    fingerprint: str
    parent: "Run | None" = None
    """the run that it starts from, of a stage"""

    @classmethod
    def of(cls, planned: PlannedRun, content_hash: str, parent: "Run | None" = None) -> "Run":
        """Return the planned run as one that reads the text of `content_hash`."""
        name = fingerprint(planned.config, content_hash, _start(planned, parent))
        return cls.named(planned, content_hash, name, parent)

    @classmethod
    def named(cls, planned: PlannedRun, content_hash: str, name: str, parent: "Run | None") -> "Run":
        """Return the planned run with its fingerprint, which is known."""
        return cls(
            row=planned.row,
            seed=planned.seed,
            config=planned.config,
            content_hash=content_hash,
            fingerprint=name,
            parent=parent,
        )

    @property
    def start(self) -> str:
        """Return the name of the weights that it starts from; empty where they are drawn."""
        return _start(self, self.parent)

    @property
    def chain(self) -> list["Run"]:
        """Return the runs that lead to this one, itself the last."""
        return [*(self.parent.chain if self.parent else ()), self]


def runs_of(sweep: Sweep, open_corpus: Callable[[PlannedRun], Corpus]) -> list[Run]:
    """Return the sweep's runs with their fingerprints, in the order in which they should run.

    `open_corpus` is called for those that read text.
    """
    return identified(sweep, lambda run: _text_of(run, open_corpus))


def identified(sweep: Sweep, text_of: Callable[[PlannedRun], str]) -> list[Run]:
    """Return the sweep's runs with their fingerprints.

    `text_of` returns the content hash of a run's text. It is called once a row, whose runs differ
    in the seed alone. What stages start from is identified with them, and is their `parent`.
    """
    rows: dict[str, tuple[str, Mapping[int, str]]] = {}

    def named(run: PlannedRun) -> Mapping[int, str]:
        if run.row not in rows:
            start, text = identified_by(run.config.init), text_of(run)
            before = named(run.parent) if run.parent else dict.fromkeys(sweep.seeds, start)
            rows[run.row] = text, fingerprints(run.config, text, sweep.seeds, before)
        return rows[run.row][1]

    def found(run: PlannedRun) -> Run:
        name, parent = named(run)[run.seed], found(run.parent) if run.parent else None
        return Run.named(run, rows[run.row][0], name, parent)

    return [found(run) for run in sweep.runs()]


def _start(run: PlannedRun, parent: Run | None) -> str:
    return parent.fingerprint if parent else identified_by(run.config.init)


def run_of(run: PlannedRun, open_corpus: Callable[[PlannedRun], Corpus]) -> Run:
    """One run with its fingerprint."""
    parent = run_of(run.parent, open_corpus) if run.parent else None
    return Run.of(run, _text_of(run, open_corpus), parent)


def _text_of(run: PlannedRun, open_corpus: Callable[[PlannedRun], Corpus]) -> str:
    """Return the content hash of the text that a run reads; refuse a text that is too short."""
    if not run.config.reads_text:
        return ""
    corpus = open_corpus(run)
    _check_length(run, corpus)
    _check_mixture(run, corpus)
    if run.parent and run.parent.config.reads_text:
        _check_tokenizer(run, corpus, open_corpus(run.parent))
    if run.config.init.folder:
        _check_own_tokenizer(run, corpus, run.config.init.folder)
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


def _check_tokenizer(run: PlannedRun, corpus: Corpus, before: Corpus) -> None:
    """Refuse a stage whose token ids mean other text than those of the run it starts from."""
    if corpus.content_hash == before.content_hash or corpus.tokenizer().to_str() == before.tokenizer().to_str():
        return
    one = "import both texts with one tokenizer (mta-lab data import --tokenizer) and set data.tokens"
    raise UserError(f"{run.label}: data: its tokens are of another tokenizer than those of the run before it; {one}")


def _check_own_tokenizer(run: PlannedRun, corpus: Corpus, folder: Path) -> None:
    """Refuse tokens that are not those of a checkpoint's tokenizer, where its folder is here."""
    own = folder / TOKENIZER
    if not folder.exists() or (own.is_file() and corpus.given_tokenizer == digest_of(own)):
        return
    again = f"`mta-lab data import SOURCE --tokenizer {own} --to DIR` makes such as data.tokens=DIR reads"
    raise UserError(f"{run.label}: data: its tokens are not of the tokenizer {own}; {again}")


def with_parents(runs: Iterable[Run]) -> list[Run]:
    """Return the runs and those that they start from, these first, one a fingerprint."""
    return list({one.fingerprint: one for run in runs for one in run.chain}.values())


def states(runs: Sequence[Run], records: Records) -> dict[str, State]:
    """Return what became of each run and of those that it starts from, by fingerprint.

    What starts from a failed run cannot be trained and has failed with it; what starts from a stale
    one waits until that is trained again, and is stale.
    """
    every = with_parents(runs)
    found = states_of({run.fingerprint: run.config for run in every}, records)
    for run in every:
        before = found[run.parent.fingerprint] if run.parent else "finished"
        if found[run.fingerprint] in ("pending", "stale") and before in ("failed", "stale"):
            found[run.fingerprint] = before
    return found


def decider(run: Run, records: Records) -> Run:
    """Return the run that a failed or stale run's state comes from: itself, or one before it."""
    own = records.failed(run.fingerprint) or outdated({run.fingerprint: run.config}, records)
    return run if own or run.parent is None else decider(run.parent, records)


def refuse_damaged(runs: Sequence[Run], found: Mapping[str, State], records: Records) -> None:
    """Raise UserError if a finished run's record cannot be used.

    A launch would count it as finished and lack its result.
    """
    for run in with_parents(runs):
        if found[run.fingerprint] == "finished":
            records.finished(run.fingerprint)


def in_state(runs: Sequence[Run], found: Mapping[str, State], *wanted: State) -> list[Run]:
    """Return the runs `found` in one of the `wanted` states, in order, one a fingerprint."""
    unique = {run.fingerprint: run for run in runs}
    return [run for name, run in unique.items() if found[name] in wanted]


def to_train(runs: Sequence[Run], found: Mapping[str, State], *, rerun_stale: bool) -> list[Run]:
    """Return what a launch trains: pending runs, and stale ones if asked to.

    Failed ones are for `mta-lab retry`. What a stage starts from comes before it, where missing.
    """
    wanted = in_state(runs, found, "pending", "stale") if rerun_stale else in_state(runs, found, "pending")
    return list({one.fingerprint: one for run in wanted for one in _unfinished(run, found)}.values())


def _unfinished(run: Run, found: Mapping[str, State]) -> list[Run]:
    """Return a run after those that must be trained before it."""
    missing = run.parent if run.parent and found[run.parent.fingerprint] != "finished" else None
    return [*(_unfinished(missing, found) if missing else ()), run]


def refuse_lost_weights(to_do: Sequence[Run], found: Mapping[str, State], records: Records) -> None:
    """Raise UserError if the weights are gone from which one of the runs `to_do` would start."""
    for run in to_do:
        if run.start and not run.parent and not records.weights(run.start).exists():
            said = f"the folder {run.config.init.folder} is not here, from whose weights it starts"
            raise UserError(f"{run.label}: init.checkpoint: {said}")
    for parent in (run.parent for run in to_do if run.parent):
        weights, record = records.weights(parent.fingerprint), records.file(parent.fingerprint)
        if found[parent.fingerprint] == "finished" and not weights.exists():
            again = f"put the file back, or train that run again: rm {in_shell(record)} and the same command"
            raise UserError(f"{parent.label}: its weights are gone, from which a stage starts ({weights}); {again}")


def lost_records(to_do: Sequence[Run], records: Records) -> list[str]:
    """Return a line on each parent that is trained again because its record alone is gone."""
    return [
        f"{run.label}: its record is gone ({records.file(run.fingerprint)}), so that it is trained again"
        for run in to_do
        if run.fingerprint in {one.parent.fingerprint for one in to_do if one.parent}
        and records.weights(run.fingerprint).exists()
    ]


def why_stale(run: Run, records: Records) -> str:
    """Return what changed since the last result of a stale run was measured."""
    run = decider(run, records)
    return changed_since(last_result(run, records), run.config, run.content_hash, run.start)


def last_result(run: Run, records: Records) -> Record:
    """Return the last result of a stale run's settings."""
    return latest(outdated({run.fingerprint: run.config}, records)[run.fingerprint], records)
