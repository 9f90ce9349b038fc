"""A text on disk as models read it: token ids by domain, their tokenizer, and checks of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from mta_lab.data import content
from mta_lab.data.shards import Tokens, token_type
from mta_lab.data.sources import OWN_TEXT, Source

if TYPE_CHECKING:  # imports torch
    from mta_lab.config import Split


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A domain: the origin of its text, and its amount. Bytes are UTF-8, without ends of text."""

    name: str
    proxy: str  # how it differs from what its name says, or empty
    sources: tuple[Source, ...]
    documents: int  # of all splits together
    train_tokens: int
    valid_tokens: int
    train_bytes: int
    valid_bytes: int
    dropped: Mapping[str, int] = field(default_factory=dict)  # documents that were dropped: reason -> count
    test_tokens: int | None = None  # None where 'test' is at the end of what is held out for 'valid'

    def held_out_tokens(self, evaluate: "Split") -> int:
        """Return the number of tokens among which those scored for `evaluate` are."""
        return self.test_tokens if evaluate == "test" and self.test_tokens is not None else self.valid_tokens


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A prepared corpus on disk."""

    directory: Path  # of the token files
    name: str
    content_hash: str  # SHA-256 over tokens, tokenizer and split: what a model sees
    vocabulary: int  # token ids are below it; the tokenizer may have learned fewer
    end_of_text: int  # follows every document
    domains: tuple[Domain, ...]
    tokenizer_kind: str = "trained on this text"  # in words
    given_tokenizer: str = ""  # SHA-256 of the file that it was given in; empty of one that was made

    def tokens(self, domain: str, split: str) -> Tokens:
        """Return all token ids of a domain's split in document order: memory-mapped, read-only."""
        return np.memmap(self.directory / f"{domain}.{split}.bin", token_type(self.vocabulary), mode="r")

    def held_out(self, evaluate: "Split") -> tuple[str, "Split"]:
        """Return the split that is scored for `evaluate`, and from which of its ends.

        'test' is at the end of the split 'valid' here.
        """
        return "valid", evaluate

    @property
    def tokenizer_name(self) -> str:
        """Return the tokenizer in words."""
        return f"{self.tokenizer_kind}, of {self.vocabulary:,} entries"

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the token ids.

        Raises:
            UserError: it has changed since the text was prepared.
        """
        self.check()
        return Tokenizer.from_file(str(self.directory / content.TOKENIZER))

    def check(self) -> None:
        """Check that all files hold what was prepared; each is read once a launch.

        Raises:
            UserError: a file has changed.
        """
        content.check(self.directory, self.content_hash, self._content)

    def _content(self) -> str:
        """Return the content hash of the files as they are now."""
        names = [domain.name for domain in self.domains]
        owned = [domain.name for domain in self.domains if any(source.package == OWN_TEXT for source in domain.sources)]
        return content.content_hash(self.directory, names, owned, token_type(self.vocabulary).itemsize)
