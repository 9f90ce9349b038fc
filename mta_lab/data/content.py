"""Compute the hash that identifies a prepared corpus, and check that its files are unchanged.

The files are read once a launch. The process that has read them recognises them by size, inode and
times (their stamps), which it hands to its workers; a worker that finds another stamp reads the
file again.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from mta_lab.data import cache, mixture
from mta_lab.data.shards import Part
from mta_lab.errors import UserError, described

SPLITS: tuple[Part, ...] = ("train", "valid")
"""splits of prepared text, which has 'test' at the end of 'valid'"""
TOKENIZER = "tokenizer.json"
BLOCK = 1 << 20  # bytes read at once
Stamps = Mapping[str, tuple[int, ...]]
"""size, inode and times of each file, by name"""

_read: dict[Path, Stamps] = {}


def content_hash(directory: Path, domains: Sequence[str], own: Collection[str], width: int) -> str:
    """Return the SHA-256 of a corpus: its tokens, its tokenizer's vocabulary and its splits.

    `own` are the domains of the user's own text; `width` is the number of bytes of a token.
    """
    content = hashlib.sha256(json.dumps(sorted(_vocabulary(directory / TOKENIZER).items())).encode())
    if len(own) > 1 and set(own) & mixture.PAPER.keys():  # a built-in corpus of the same tokens has other shares
        content.update(b"own text: every domain has the same share\n")
    for domain in domains:
        for split in SPLITS:
            size = _feed(directory / f"{domain}.{split}.bin", content.update)
            content.update(f"{domain}.{split} {size // width}\n".encode())
    return content.hexdigest()


def check(directory: Path, expected: str, content: Callable[[], str]) -> None:
    """Refuse files that have changed since they were prepared; skip those with known stamps.

    `expected` is the content hash in the manifest, `content` computes that of the files.

    Raises:
        UserError: a file has changed.
    """

    def read() -> None:
        cache.refuse_damaged(directory)
        if content() != expected:
            said = f"the tokens in {directory} are not those that its manifest names (content hash {expected[:16]})"
            raise UserError(f"data: {said}; {cache.remedy(directory)}")

    once(directory, read)


def once(directory: Path, read: Callable[[], None]) -> None:
    """Call `read`, which refuses a directory that has changed; skip one with known stamps."""
    stamps = cache.stamps(directory)
    if _read.get(directory) != stamps:
        read()
        _read[directory] = stamps


def known() -> Mapping[Path, Stamps]:
    """Return the stamps of the directories that this process has read, to hand to a worker."""
    return dict(_read)


def trust(directories: Mapping[Path, Stamps]) -> None:
    """Accept what another process of this launch has read, while files keep their stamps."""
    _read.update(directories)


def _vocabulary(file: Path) -> dict[str, int]:
    try:
        return dict(Tokenizer.from_file(str(file)).get_vocab())
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"data: {file} is not a tokenizer ({described(error)}); {cache.remedy(file.parent)}") from None


def _feed(path: Path, update: Callable[[bytes], object]) -> int:
    """Give a file's bytes to `update`, and return their number."""
    size = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            update(block)
            size += len(block)
    return size
