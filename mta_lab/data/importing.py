"""Import text as token shards: read it in order, split it by hash, encode it, and write."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from mta_lab.atomic import write_whole
from mta_lab.data import cache, documents, tokenizer
from mta_lab.data.content import TOKENIZER
from mta_lab.data.imported import ImportedCorpus, open_imported
from mta_lab.data.reading import Reader, State
from mta_lab.data.shards import FORMAT, MANIFEST, SHARD, STATE, Manifest, Part, as_json
from mta_lab.data.tokenizer import Given
from mta_lab.data.writing import Writer, progress_in
from mta_lab.errors import UserError
from mta_lab.words import duration

DOCUMENTS, LETTERS = 512, 4_000_000  # of a batch, at most
KEPT = 15.0  # seconds between two states, and between two lines on progress
WHOLE = 1 << 64
Say = Callable[[str], None]
Found = tuple[str, str]
"""the domain and the text of a document"""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A part of what is imported: a file, or a stream."""

    name: str
    size: int
    """bytes; 0 where that is not known"""
    split_of: Callable[[str], Part]
    """returns the split of a document"""
    read: Callable[[State], Reader]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All that decides what an import makes of its source."""

    source: str
    """as it was typed"""
    inputs: Sequence[Input]
    given: Given
    """the tokenizer"""
    settings: Mapping[str, str]
    """all that an import shares with one that it goes on with, by its word on the command line"""
    most: int | None = None
    """training tokens after which it ends; None for no limit"""
    shard: int = SHARD
    """tokens of a shard"""


def by_hash(held_out: float, text: str) -> Part:
    """Return the split of a document by its hash, so that equal documents are in the same one.

    `held_out` is the share of the documents that are, half of them for 'valid', half for 'test'.
    """
    place = int.from_bytes(documents.digest(text)[:8], "big") / WHOLE
    return "valid" if place < held_out / 2 else "test" if place < held_out else "train"


def import_tokens(asked: Asked, directory: Path, say: Say) -> ImportedCorpus:
    """Import what was asked for into a folder, or go on with its import there.

    It may be ended at any time. A folder that holds the whole import is opened.

    Raises:
        UserError: the source cannot be read, or the folder holds something else.
    """
    with cache.lock(directory, say):
        if not (directory / MANIFEST).exists():
            try:
                _import(asked, directory, say)
            except OSError as error:
                said = f"--to: {error.filename or directory} cannot be written ({error.strerror})"
                raise UserError(f"{said}; make room or choose another folder, then the same command goes on") from None
        elif dict(open_imported(directory).manifest.settings) != asked.settings:
            raise UserError(f"--to: {directory} holds another import; give a new folder")
        (directory / STATE).unlink(missing_ok=True)
    return open_imported(directory)


def _import(asked: Asked, directory: Path, say: Say) -> None:
    progress = progress_in(directory, asked.settings)
    writer = Writer(directory, asked.given.vocabulary, asked.shard, progress)
    writer.keep(asked.settings, progress.inputs, progress.reader)  # from here on, the folder is this import's
    if progress.inputs or progress.reader:
        say(f"going on after {writer.tokens('train', 'valid', 'test'):,} tokens")
    before = [0, *accumulate(one.size for one in asked.inputs)]  # bytes of the inputs before each, and of all
    clock = _Clock(before[-1], writer, say)
    reading, state = progress.inputs, dict(progress.reader)
    for number, one in enumerate(asked.inputs[reading:], start=reading):
        reader = one.read(state)
        for batch in _batches(reader):
            _write(writer, asked.given, batch, one.split_of)
            if asked.most is not None and writer.tokens("train") >= asked.most:
                _finish(asked, writer)
                return
            if clock.due(before[number] + reader.position):
                writer.keep(asked.settings, number, reader.state)
        state = {}
    _finish(asked, writer)


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Yield documents in groups that are encoded together."""
    batch: list[Found] = []
    letters = 0
    for one in found:
        batch.append(one)
        letters += len(one[1])
        if len(batch) == DOCUMENTS or letters > LETTERS:
            yield batch
            batch, letters = [], 0
    if batch:
        yield batch


def _write(writer: Writer, given: Given, batch: Sequence[Found], split_of: Callable[[str], Part]) -> None:
    kept = []
    for domain, text in batch:
        if cleaned := documents.clean(text):
            kept.append((domain, cleaned))
        else:
            writer.drop(domain, "empty")
    encoded = tokenizer.encode(given.tokenizer, [text for _, text in kept], given.end_of_text)
    for (domain, text), ids in zip(kept, encoded, strict=True):
        writer.add(domain, split_of(text), len(text.encode()), ids)


def _finish(asked: Asked, writer: Writer) -> None:
    """Close the shards, and write tokenizer and manifest."""
    shards = writer.close()
    if not shards:
        raise UserError(f"{asked.source}: holds no text")
    trained_on = {shard.domain for shard in shards if shard.split == "train"}
    for domain in writer.domains:
        if domain.name not in trained_on:
            lost = f"documents held out: {sum(domain.documents.values())}, dropped: {sum(domain.dropped.values())}"
            mends = "a smaller --held-out, or a source without this domain, mends it; give a new folder"
            raise UserError(f"{asked.source}: domain '{domain.name}' has no text to train on ({lost}); {mends}")
    kept = writer.directory / TOKENIZER
    asked.given.tokenizer.save(str(kept))
    manifest = Manifest(
        format=FORMAT,
        source=asked.source,
        settings=asked.settings,
        vocabulary=asked.given.vocabulary,
        end_of_text=asked.given.end_of_text,
        tokenizer=replace(asked.given.file, kept=cache.digest_of(kept)),
        domains=writer.domains,
        shards=shards,
    )
    write_whole(writer.directory / MANIFEST, as_json(manifest))


class _Clock:
    """Says now and then how far an import is."""

    def __init__(self, total: int, writer: Writer, say: Say) -> None:
        self._total, self._writer, self._say = total, writer, say
        self._started = self._last = time.monotonic()
        self._tokens, self._place = writer.tokens("train", "valid", "test"), -1

    def due(self, place: int) -> bool:
        """Return whether some time has passed since the last time; then a line was said.

        `place` is the number of bytes that are read.
        """
        if self._place < 0:
            self._place = place
        now = time.monotonic()
        if now - self._last < KEPT:
            return False
        self._last = now
        self._say(self._line(place, now - self._started))
        return True

    def _line(self, place: int, seconds: float) -> str:
        tokens, read = self._writer.tokens("train", "valid", "test"), place - self._place
        told = f"{tokens:,} tokens, {(tokens - self._tokens) / seconds:,.0f} a second"
        if not self._total or not read:
            return told
        left = (self._total - place) / (read / seconds)
        return f"{place / self._total:.1%} of the text read, {told}, about {duration(left)} left"
