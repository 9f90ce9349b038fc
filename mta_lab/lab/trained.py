"""Find a finished run by its sweep, row and seed or its fingerprint, and what it can read."""

import re
from numbers import Integral
from pathlib import Path

from components.tasks import SyntheticTask
from mta_lab.config import RunConfig
from mta_lab.data import Corpus, find
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.elsewhere import hint
from mta_lab.lab.plan import Plan, open_records
from mta_lab.lab.plans import plan, plan_of_one
from mta_lab.pictures import trained
from mta_lab.pictures.reading import Reading, drawn, read_text
from mta_lab.planning.runs import run_of
from mta_lab.plugins import load_components
from mta_lab.results.records import Record, Records, run_files
from mta_lab.workspace import CORPORA, again


def find_run(
    name: str, row: str, seed: int | None, conditions: Conditions, display: Display
) -> tuple[trained.Trained, Records]:
    """Return the run that `find_record` finds, with its model, and its records.

    Raises:
        UserError: no such run is finished, or its weights are gone.
    """
    record, records = find_record(name, row, seed, conditions, display)
    return opened(record, records, display), records


def find_record(
    name: str, row: str, seed: int | None, conditions: Conditions, display: Display
) -> tuple[Record, Records]:
    """Return the record of the run that `name` and `row` mean, and all records.

    `name` is a sweep, `train`, the start of a fingerprint, or the file of a record.

    Raises:
        UserError: no such run is finished.
    """
    if is_run(name):
        if row or conditions.settings or seed is not None:
            given = " ".join([row, *conditions.settings]).strip() or "--seed"
            raise UserError(
                f"{name}: got {given}, allowed: nothing besides, as a fingerprint or file names one run by itself"
            )
        load_components(conditions.components)
        return run_named(name, display)
    if name == "train":
        if row:
            raise UserError(f"train: got '{row}', allowed: settings alone, like attention=softmax")
        found = plan_of_one(conditions, display)
        row = found.sweep.rows[0].name
    else:
        found = plan(name, conditions, display)
    return record_of_row(found, row, seed), found.records


def opened(record: Record, records: Records, display: Display) -> trained.Trained:
    """Return the run of `record` with its model, and note if its components have changed since."""
    run = trained.load(record, records)
    if not run.current:
        changed = "its components' code has changed since it was run; what is shown is of today's code"
        display.note(f"run {record.fingerprint}: {changed}")
    return run


def refuse_changed(run: trained.Trained, where: str) -> None:
    """Raise UserError if the code of the run's components has changed since it was trained."""
    if not run.current:
        raise UserError(
            f"{where}: the code of the components of run {run.record.fingerprint} has changed since it was trained, "
            "so that its weights would make another model; train it again with its command and --rerun-stale"
        )


def record_of_row(found: Plan, name: str, seed: int | None) -> Record:
    """Return the record of a row's run under `seed`, or under the first.

    Raises:
        UserError: it is not finished; the message has the command that trains it.
    """
    row = found.sweep.row(name)
    seed = found.sweep.seeds[0] if seed is None else seed
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"seed: got {seed!r}, allowed: a whole number, 0 or more")
    seed = int(seed)  # of numpy's, as a DataFrame holds them
    run = found.sweep.run(row.name, row.config, seed)
    if row.config.reads_text and find(row.config.data, row.config.model.vocabulary, CORPORA) is None:
        said = f"its text is not prepared here, so no finished run of {run.label} is known"
        raise UserError(f"{found.given}: {said}; `{again(found.command)}` prepares it and trains what is missing")
    record = found.records.finished(run_of(run, lambda run: _corpus(run.config)).fingerprint)
    if record is None:
        more = "" if seed in found.sweep.seeds else f", with --seeds {seed + 1}"
        trains = f"`{again(found.command)}`{more} trains it"
        raise UserError(f"{found.given}: {run.label} is not finished here; {trains}{hint(found)}")
    return record


def reading_for(run: trained.Trained, text: str | None) -> Reading:
    """Return a text as the run's model reads it, or a drawn sequence for a synthetic run."""
    config = run.config
    if text is None:
        if isinstance(config.task, SyntheticTask):
            return drawn(config.task, config.seed)
        raise UserError(
            '--text: is missing, and this run was trained on text; type for example --text "A text of your own."'
        )
    return read_text(text, config, corpus_of(run))


def corpus_of(run: trained.Trained) -> Corpus | None:
    """Return the text that a run was trained on, or None of a synthetic task.

    Raises UserError where it is not prepared here, or has changed since.
    """
    if not run.config.reads_text:
        return None
    corpus = _corpus(run.config)
    if corpus.content_hash != run.record.content_hash:
        raise UserError(f"{corpus.directory}: the text has changed since this run was trained, and so have its tokens")
    return corpus


def is_run(name: str) -> bool:
    """Return whether a name is that of one run: the start of a fingerprint, or a record's file."""
    return name.endswith(".json") or bool(re.fullmatch("[0-9a-f]{4,16}", name) and not Path(name).exists())


def run_named(name: str, display: Display) -> tuple[Record, Records]:
    """Return the finished run whose fingerprint begins with `name`, or whose record is that file.

    Raises UserError where there is none, or several.
    """
    records = open_records(display, Path(name).parent.parent) if name.endswith(".json") else open_records(display)
    start = Path(name).name.removesuffix(".json")
    names = [path.stem for path in run_files(records.directory, start)]
    if len(names) > 1:
        raise UserError(f"{start}: the fingerprints of several runs begin with it: {', '.join(names)}")
    record = records.finished(names[0]) if names else None
    if record is None:
        raise UserError(f"{start}: no finished run in {records.directory} has a fingerprint that begins with it")
    return record, records


def _corpus(config: RunConfig) -> Corpus:
    corpus = find(config.data, config.model.vocabulary, CORPORA)
    if corpus is None:
        raise UserError(
            "the text of this run is not prepared here; "
            f"`{again('mta-lab data prepare')}` with the same settings prepares it"
        )
    return corpus
