"""Which finished run a command means, and what it is given to read."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from components.tasks import SyntheticTask
from mta_lab.cli.arguments import row_and_settings
from mta_lab.cli.common import CORPORA, note, open_records
from mta_lab.cli.sweeping import plan
from mta_lab.config import RunConfig
from mta_lab.data import Corpus, find
from mta_lab.errors import UserError
from mta_lab.pictures import trained
from mta_lab.pictures.reading import Reading, drawn, read_text
from mta_lab.planning.runs import run_of
from mta_lab.plugins import load_components
from mta_lab.results.records import Record, Records, run_files
from mta_lab.sweep import PlannedRun


def find_run(
    name: str, words: Sequence[str], seed: int | None, scale: str, components: Sequence[Path]
) -> tuple[trained.Trained, Records]:
    """The run that `name` and `words` say, a row and settings, and the records that it is among."""
    if name.endswith(".json") or (re.fullmatch("[0-9a-f]{4,16}", name) and not Path(name).exists()):
        records = open_records(Path(name).parent.parent) if name.endswith(".json") else open_records()
        if words or seed is not None:
            raise UserError(
                f"{name}: names one run already; got {' '.join(words) or '--seed'}, allowed: no row, setting or seed"
            )
        load_components(components)
        record = _by_fingerprint(Path(name).name.removesuffix(".json"), records)
    else:
        records = open_records()
        record = _by_row(name, words, seed, scale, components, records)
    run = trained.load(record, records)
    if not run.current:
        note(f"run {record.fingerprint}: its components' code has changed since it was run; the picture shows today's")
    return run, records


def reading_for(run: trained.Trained, text: str | None) -> Reading:
    """The user's text as the run's model reads it; of a synthetic run without one, a sequence of the run's seed."""
    config = run.config
    if text is None:
        if isinstance(config.task, SyntheticTask):
            return drawn(config.task, config.seed)
        raise UserError(
            '--text: must be given, as this run was trained on text; for example --text "A text of your own."'
        )
    corpus = _corpus(config) if config.reads_text else None
    if corpus and corpus.content_hash != run.record.content_hash:
        raise UserError(
            f"{corpus.directory}: the text has changed since this run was trained on it, and its tokens with it"
        )
    return read_text(text, config, corpus)


def _by_fingerprint(start: str, records: Records) -> Record:
    """The finished run whose fingerprint starts so."""
    names = [path.stem for path in run_files(records.directory, start)]
    if len(names) > 1:
        raise UserError(f"{start}: the fingerprints of several runs begin with it: {', '.join(names)}")
    record = records.finished(names[0]) if names else None
    if record is None:
        raise UserError(f"{start}: no finished run in {records.directory} has a fingerprint that begins with it")
    return record


def _by_row(
    name: str, words: Sequence[str], seed: int | None, scale: str, components: Sequence[Path], records: Records
) -> Record:
    """The finished run of a sweep's row and seed, or of `mta-lab train`."""
    if name == "train":
        from mta_lab.cli.single import one_run

        found = one_run(words, scale, components)
        row = found.sweep.rows[0]
    else:
        named, settings = row_and_settings(words)
        found = plan(name, settings, scale, None, components)
        row = found.sweep.row(named)
    seed = found.sweep.seeds[0] if seed is None else seed
    run = PlannedRun(row=row.name, seed=seed, config=replace(row.config, seed=seed))
    record = records.finished(run_of(run, lambda run: _corpus(run.config)).fingerprint)
    if record is None:
        raise UserError(f"{name}: {run.label} is not finished here; `{found.command}` trains it")
    return record


def _corpus(config: RunConfig) -> Corpus:
    corpus = find(config.data, config.model.vocabulary, CORPORA)
    if corpus is None:
        raise UserError(
            "the text of this run is not prepared here; `mta-lab data prepare` with the same settings prepares it"
        )
    return corpus
