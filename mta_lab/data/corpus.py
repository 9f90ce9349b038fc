"""Open and prepare corpora: files of token ids, with their tokenizer and documents.

On disk, `<root>/<corpus name>/text/` holds the documents, shared by all vocabulary sizes, and
`tokens-<vocabulary>/` the tokens. The corpus name changes whenever the text would.
"""

import hashlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tokenizers import Tokenizer

from mta_lab.data import build, cache, content, own
from mta_lab.data.sources import OWN_TEXT, RECIPES, Source, fingerprint
from mta_lab.errors import UserError, nearest

if TYPE_CHECKING:  # imports torch
    from mta_lab.config import DataConfig

FORMAT = 1  # raise it when reading, cleaning, splitting or tokenizing changes what is written
OWN_FORMAT = 2  # the same for a user's own text
TEXT = "text"  # the folder of the documents
SMALLEST_VOCABULARY = 257  # 256 bytes and the end of text
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A domain: the origin of its text, and its amount. Bytes are UTF-8, without ends of text."""

    name: str
    proxy: str  # how it differs from what its name says, or empty
    sources: tuple[Source, ...]
    documents: int  # training and validation together
    train_tokens: int
    valid_tokens: int
    train_bytes: int
    valid_bytes: int
    dropped: Mapping[str, int] = field(default_factory=dict)  # documents that were dropped: reason -> count


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A prepared corpus on disk."""

    directory: Path  # of the token files
    name: str
    content_hash: str  # SHA-256 over tokens, tokenizer and split: what a model sees
    vocabulary: int  # token ids are below it; the tokenizer may have learned fewer
    end_of_text: int  # follows every document
    domains: tuple[Domain, ...]

    def tokens(self, domain: str, split: Literal["train", "valid"]) -> np.ndarray:
        """Return all token ids of a domain's split in document order: memory-mapped, read-only."""
        return np.memmap(self.directory / f"{domain}.{split}.bin", _dtype(self.vocabulary), mode="r")

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
        return content.content_hash(self.directory, names, owned, _dtype(self.vocabulary).itemsize)


def find(data: "DataConfig", vocabulary: int, root: Path) -> Corpus | None:
    """Return the prepared corpus, or None if it is not there. Fast; never uses the network.

    Raises:
        UserError: a file has another size than when it was prepared, or `data` names no text.
            `Corpus.check` finds other changes.
    """
    directory = tokens_directory(data, vocabulary, root)
    if not directory.exists():
        return None
    facts = cache.facts(directory)
    try:
        domains = tuple(
            Domain(**{**domain, "sources": tuple(Source(**source) for source in domain["sources"])})
            for domain in facts.pop("domains")
        )
        corpus = Corpus(directory=directory, domains=domains, **facts)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"data: {directory / cache.MANIFEST} is unreadable; {cache.remedy(directory)}") from error
    if corpus.vocabulary != vocabulary:
        said = f"says a vocabulary of {corpus.vocabulary!r}, not of {vocabulary}"
        raise UserError(f"data: {directory / cache.MANIFEST} {said}; {cache.remedy(directory)}")
    return corpus


def tokens_directory(data: "DataConfig", vocabulary: int, root: Path) -> Path:
    """Return the directory of the token files of a text; its documents are beside it."""
    return root / corpus_name(data) / f"tokens-{vocabulary}"


def prepare(data: "DataConfig", vocabulary: int, root: Path, say: Say = lambda line: None) -> Corpus:
    """Prepare a text, or open it where it is prepared and unchanged.

    It may be interrupted, and run in several processes at once.

    Args:
        data: which text, and which split is scored.
        vocabulary: the number of token ids.
        root: the directory of all prepared text.
        say: is called with a line on each step.

    Raises:
        UserError: the text cannot be found, downloaded or read, or a prepared file has changed.
    """
    if vocabulary < SMALLEST_VOCABULARY:
        raise UserError(
            f"vocabulary: got {vocabulary}, allowed: {SMALLEST_VOCABULARY} or more (256 bytes and the end of text)"
        )
    if found := find(data, vocabulary, root):
        found.check()
        return found
    tokens = tokens_directory(data, vocabulary, root)
    home, text = tokens.parent, tokens.with_name(TEXT)
    if data.path is not None and root.resolve().is_relative_to(_own_path(data.path)):
        said = f"holds the folder {root}, where text is prepared"
        raise UserError(f"data.path: {data.path} {said}; put your text into a folder of its own")
    with cache.lock(home, say):
        if not text.exists():
            domains = (
                build.from_recipes(data.corpus, root / "downloads", say)
                if data.path is None
                else build.from_files(_own_path(data.path), say)
            )
            build.build_text(domains, text, say)
        if not tokens.exists():
            build.build_tokens(text, tokens, vocabulary, _dtype(vocabulary), say)
    found = find(data, vocabulary, root)
    if found is None:
        raise UserError(f"data.path: {data.path} changed while it was prepared; type the command again")
    found.check()
    return found


def corpus_name(data: "DataConfig") -> str:
    """Return a folder name that changes whenever the text would: recipes, Python, own files."""
    if data.path is not None:
        path = _own_path(data.path)
        try:
            files = [file for group in own.own_files(path).domains.values() for file in group]
            facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        except OSError as error:
            raise UserError(f"data.path: {error.filename} cannot be read ({error.strerror})") from error
        return f"own-{path.stem}-{hashlib.sha256(repr((OWN_FORMAT, facts)).encode()).hexdigest()[:8]}"
    if data.corpus not in RECIPES:
        allowed = " or ".join(RECIPES)
        raise UserError(f"data.corpus: got '{data.corpus}', allowed: {allowed}{nearest(data.corpus, RECIPES)}")
    version = f"-{platform.python_version()}" if data.corpus == "stdlib" else ""
    return f"{data.corpus}{version}-{FORMAT}-{fingerprint(RECIPES[data.corpus])}"


def _own_path(given: str) -> Path:
    try:
        return Path(given).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # an unknown home, or links in a circle
        raise UserError(f"data.path: {given} is not a path that can be followed ({error})") from None


def _dtype(vocabulary: int) -> np.dtype[Any]:
    """Return the type of stored token ids: little-endian, so that files are the same everywhere."""
    return np.dtype("<u2" if vocabulary <= 65536 else "<u4")
