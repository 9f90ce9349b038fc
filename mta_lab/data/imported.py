"""Open folders of imported tokens as corpora, and check them: some of each shard, or all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from mta_lab.data import content
from mta_lab.data.cache import digest_of, wrong_size
from mta_lab.data.prepared import Corpus, Domain
from mta_lab.data.shards import (
    PARTS,
    REMEDY,
    ImportedDomain,
    Manifest,
    Shard,
    Shards,
    read_manifest,
    sample_of,
    token_type,
)
from mta_lab.data.sources import Source
from mta_lab.errors import UserError

if TYPE_CHECKING:  # imports torch
    from mta_lab.config import Split

IMPORTED = "imported tokens"  # stands as the package of imported text
VERIFIED = 1 << 22  # tokens read at once


@dataclass(frozen=True, kw_only=True)
class ImportedCorpus(Corpus):
    """A folder of imported tokens."""

    manifest: Manifest

    def tokens(self, domain: str, split: str) -> Shards:
        """Return all token ids of a domain's split in document order: memory-mapped, read-only."""
        files = [(self.directory / shard.file, shard.tokens) for shard in self.manifest.of(domain, split)]
        return Shards(files, token_type(self.vocabulary))

    def held_out(self, evaluate: "Split") -> tuple[str, "Split"]:
        """Return the split that is scored for `evaluate`, and from which of its ends.

        Tokens of prepared text have no split 'test', which is at the end of 'valid' then.
        """
        return (evaluate, "valid") if self.manifest.has_test else ("valid", evaluate)

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the token ids.

        Raises:
            UserError: it has changed since the import.
        """
        path = self.directory / content.TOKENIZER
        _refuse([(path, self._wrong_tokenizer())])
        return Tokenizer.from_file(str(path))

    def check(self) -> None:
        """Check some blocks of every shard, once a launch.

        Raises:
            UserError: a shard is missing, has another size, or other content in those blocks.
        """
        content.once(self.directory, lambda: _refuse(self._sampled()))

    def verified(self) -> Iterator[tuple[str, str]]:
        """Read every file; yield its name with what is wrong with it, or an empty text."""
        for shard in self.manifest.shards:
            yield shard.file, self._wrong_size(shard) or self._wrong_content(shard)
        yield content.TOKENIZER, self._wrong_tokenizer()

    def refuse_wrong_sizes(self) -> None:
        """Raise UserError where a shard is missing or has another size."""
        _refuse((self.directory / shard.file, self._wrong_size(shard)) for shard in self.manifest.shards)

    def _sampled(self) -> Iterator[tuple[Path, str]]:
        for shard in self.manifest.shards:
            path = self.directory / shard.file
            wrong = self._wrong_size(shard)
            if not wrong and sample_of(path, path.stat().st_size) != shard.sample:
                wrong = "has other content than when it was imported"
            yield path, wrong

    def _wrong_size(self, shard: Shard) -> str:
        return wrong_size(self.directory / shard.file, shard.tokens * token_type(self.vocabulary).itemsize)

    def _wrong_content(self, shard: Shard) -> str:
        path = self.directory / shard.file
        if digest_of(path) != shard.sha256:
            return "has other content than when it was imported"
        ids = np.memmap(path, token_type(self.vocabulary), mode="r")
        largest = max(int(ids[start : start + VERIFIED].max()) for start in range(0, len(ids), VERIFIED))
        return f"has the token {largest}, beyond its vocabulary" if largest >= self.vocabulary else ""

    def _wrong_tokenizer(self) -> str:
        path = self.directory / content.TOKENIZER
        same = path.is_file() and digest_of(path) == self.manifest.tokenizer.kept
        return "" if same else "is not the one of the import"


def open_imported(directory: Path, vocabulary: int | None = None) -> ImportedCorpus:
    """Return the corpus in a folder; every shard is there with its size.

    Args:
        directory: a folder that `mta-lab data import` made.
        vocabulary: the model's number of token ids; None where no model reads it.

    Raises:
        UserError: the folder or a shard is missing, damaged or of another version, or its
            tokenizer has more entries than the model's vocabulary.
    """
    if not directory.is_dir():
        raise UserError(f"data.tokens: {directory} is no folder; `mta-lab data import` makes one")
    manifest = read_manifest(directory)
    if vocabulary is not None and manifest.vocabulary > vocabulary:
        needed = f"{manifest.vocabulary} or more for the tokens in {directory}, of {manifest.tokenizer}"
        raise UserError(f"model.vocabulary: got {vocabulary}, allowed: {needed}")
    corpus = ImportedCorpus(
        directory=directory,
        name=directory.name,
        content_hash=manifest.content_hash,
        vocabulary=manifest.vocabulary,
        end_of_text=manifest.end_of_text,
        domains=tuple(_domain(one, manifest) for one in manifest.domains),
        tokenizer_kind=str(manifest.tokenizer),
        given_tokenizer=manifest.tokenizer.sha256,
        manifest=manifest,
    )
    corpus.refuse_wrong_sizes()
    return corpus


def _domain(one: ImportedDomain, manifest: Manifest) -> Domain:
    train, valid, test = (manifest.tokens(one.name, split) for split in PARTS)
    source = Source(package=IMPORTED, version="", rights="", what=manifest.source)
    return Domain(
        name=one.name,
        proxy="",
        sources=(source,),
        documents=sum(one.documents.values()),
        train_tokens=train,
        valid_tokens=valid,
        train_bytes=one.bytes.get("train", 0),
        valid_bytes=one.bytes.get("valid", 0),
        dropped=one.dropped,
        test_tokens=test if manifest.has_test else None,
    )


def _refuse(found: Iterable[tuple[Path, str]]) -> None:
    for path, wrong in found:
        if wrong:
            raise UserError(f"data.tokens: {path} {wrong}; {REMEDY}")
