"""Find the text that finished runs read where the text itself is absent: records hold its hash."""

from collections.abc import Mapping

from mta_lab.config import fingerprint, plain
from mta_lab.errors import UserError
from mta_lab.planning.runs import Run, identified
from mta_lab.results.records import Record, Records, settings_key
from mta_lab.sweep import PlannedRun, Sweep
from mta_lab.words import counted

Texts = Mapping[object, str]
"""the key of a text, as `text_key` says it -> its content hash"""


def text_key(run: PlannedRun) -> object:
    """Return what a run reads: the text, and what its tokens come from."""
    data = run.config.data
    return data.corpus, data.path, data.tokens, data.tokenizer, run.config.model.vocabulary


def recorded_texts(sweep: Sweep, records: Records) -> Texts:
    """Return the content hash of each text that the sweep's finished runs read; empty for none.

    Raises UserError, with all of them, where runs that count today read several texts under one
    name.
    """
    found: dict[object, dict[str, list[Record]]] = {}
    for run, record in _finished(sweep, records):
        found.setdefault(text_key(run), {}).setdefault(record.content_hash, []).append(record)
    return {key: _one(sweep, texts) for key, texts in found.items()}


def recorded_runs(sweep: Sweep, records: Records) -> list[Run] | None:
    """Return the sweep's runs on the texts that their records name; None if no record does."""
    texts = recorded_texts(sweep, records)
    if not texts:
        return None
    return identified(sweep, lambda run: texts.get(text_key(run), "") if run.config.reads_text else "")


def _finished(sweep: Sweep, records: Records) -> list[tuple[PlannedRun, Record]]:
    """Return the runs that read text, with each record of their settings.

    Records that count today go before all others.
    """
    of_settings: dict[str, list[str]] = {}
    for name, settings in records.settings().items():
        of_settings.setdefault(settings, []).append(name)
    pairs = [
        (run, record)
        for run in sweep.staged.runs()
        if run.config.reads_text
        for name in of_settings.get(settings_key(plain(run.config)), [])
        if (record := records.usable(name))
    ]
    current = [
        (run, record)
        for run, record in pairs
        if fingerprint(run.config, record.content_hash, record.parent) == record.fingerprint
    ]
    return current or pairs


def _one(sweep: Sweep, texts: Mapping[str, list[Record]]) -> str:
    if len(texts) == 1:
        return next(iter(texts))
    listed = "; ".join(
        f"{name[:16]}: {counted(len(runs), 'run')}, the last of {max(_day(run) for run in runs)}"
        for name, runs in texts.items()
    )
    raise UserError(
        f"{sweep.name}: its text is not prepared here, and its finished runs read {counted(len(texts), 'text')} "
        f"({listed}); "
        "a table of several would mix them: prepare the text that is meant, or move the records of the others away"
    )


def _day(record: Record) -> str:
    return str(record.provenance.get("finished", "an unknown day"))[:10]
