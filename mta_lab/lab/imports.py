"""Import text from files, from the product's own corpora or from a hub, as token shards."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mta_lab.config import DataConfig
from mta_lab.data import cache, own
from mta_lab.data.content import SPLITS
from mta_lab.data.corpus import corpora, followed, prepare_text
from mta_lab.data.hub import HUB, HubReader
from mta_lab.data.imported import ImportedCorpus, open_imported
from mta_lab.data.importing import Asked, Input, by_hash, import_tokens
from mta_lab.data.reading import FORMATS, FileReader, Keys
from mta_lab.data.shards import PARTS, REMEDY, Part
from mta_lab.data.tokenizer import Given, read_given
from mta_lab.errors import UserError, nearest
from mta_lab.lab.display import Display
from mta_lab.workspace import CORPORA

CORPUS = "corpus:"


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """All that an import is told beside its source."""

    to: Path
    """the folder that it makes"""
    tokenizer: Path
    """a tokenizer.json, or Llama 3's tokenizer.model"""
    text_key: str = "text"
    """the key of a record's text, dotted where it is nested"""
    domain_key: str | None = None
    """the key of its domain; None: a domain is a file or a folder"""
    held_out: float = 0.01
    """share of the documents that are held out, half for 'valid', half for 'test'"""
    end_of_text: str | None = None
    """the token after each document; None for the tokenizer's usual one"""
    tokens: int | None = None
    """training tokens after which it ends; None for no limit"""


def imported(source: str, options: ImportOptions, display: Display) -> ImportedCorpus:
    """Import a source as token shards, or go on where an import of it ended.

    Args:
        source: a file, a folder, `corpus:NAME` for the product's own text, or `hub:NAME`.
        options: where to, and with which tokenizer.
        display: is told of each step.

    Raises:
        UserError: the source cannot be read, or an option does not fit it.
    """
    if not 0 < options.held_out < 1:
        raise UserError(f"--held-out: got {options.held_out}, allowed: more than 0, less than 1")
    given = read_given(options.tokenizer.expanduser(), options.end_of_text)
    inputs = list(_inputs(source, options, display))
    to = followed(str(options.to), "--to")
    if (path := Path(source).expanduser()).is_dir() and to.is_relative_to(path.resolve()):
        raise UserError(f"--to: {to} is inside of what is imported; give a folder of its own")
    found = import_tokens(_asked(source, inputs, given, options), to, display.say)
    for domain in found.domains:
        for split in SPLITS if source.startswith(CORPUS) else PARTS:
            if not found.manifest.of(domain.name, split):
                display.note(
                    f"domain '{domain.name}': no document fell to '{split}', so nothing can read that split; "
                    f"a larger --held-out than {options.held_out} and a new folder mend it"
                )
    return found


def verified_import(directory: Path) -> Iterator[str]:
    """Read every file of imported tokens, and yield one line on each.

    Raises:
        UserError: a file is damaged.
    """
    corpus, damaged = open_imported(followed(str(directory), "data.tokens")), 0
    for name, wrong in corpus.verified():
        yield f"{corpus.directory / name}: {wrong or 'as it was imported'}"
        damaged += bool(wrong)
    if damaged:
        raise UserError(f"data.tokens: {damaged} damaged in {corpus.directory}; {REMEDY}")
    yield f"{corpus.directory}: holds the tokens of its content hash, {corpus.content_hash[:16]}"


def _asked(source: str, inputs: list[Input], given: Given, options: ImportOptions) -> Asked:
    files = repr([(one.name, one.size) for one in inputs])
    settings = {
        "source": source,
        "--tokenizer": given.file.sha256[:16],
        "--end-of-text": str(given.end_of_text),
        "--text-key": options.text_key,
        "--domain-key": str(options.domain_key),
        "--held-out": str(options.held_out),
        "--tokens": str(options.tokens),
        "its files": hashlib.sha256(files.encode()).hexdigest()[:16],
    }
    return Asked(source=source, inputs=inputs, given=given, settings=settings, most=options.tokens)


def _inputs(source: str, options: ImportOptions, display: Display) -> Iterator[Input]:
    """Yield the parts of a source in the order in which they are read."""
    split_of, keys = partial(by_hash, options.held_out), Keys(text=options.text_key, domain=options.domain_key)
    if source.startswith(HUB):
        yield Input(name=source, size=0, split_of=split_of, read=partial(HubReader, source, keys))
    elif source.startswith(CORPUS):
        yield from _prepared(source.removeprefix(CORPUS), display)
    else:
        path = followed(source, "source")
        found = own.own_files(path, "source", FORMATS)
        for file, reason in found.left_out.items():
            display.note(f"left out: {file}: {reason}")
        for domain, files in found.domains.items():
            for file in files:
                name, size = str(file.relative_to(path)), file.stat().st_size
                yield Input(name=name, size=size, split_of=split_of, read=partial(FileReader, file, domain, keys))


def _prepared(name: str, display: Display) -> Iterator[Input]:
    """Yield the files of a prepared text, which keeps its split: 'train' and 'valid'."""
    if name not in (known := corpora()):
        raise UserError(f"{CORPUS}{name}: allowed: {' or '.join(known)}{nearest(name, known)}")
    text = prepare_text(DataConfig(corpus=name), CORPORA, display.say)
    for domain in cache.facts(text)["domains"]:
        for split in SPLITS:
            file = text / f"{domain['name']}.{split}.jsonl"
            read = partial(FileReader, file, domain["name"], Keys())
            yield Input(name=file.name, size=file.stat().st_size, split_of=partial(_always, split), read=read)


def _always(split: Part, text: str) -> Part:
    return split
