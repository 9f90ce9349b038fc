"""The hash that identifies a prepared corpus, and the check that its files have not changed since.

The files are read whole once a launch. The process that has read them knows them by their stamps, and hands these to
its workers; whoever finds another stamp reads again.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from mta_lab.data import cache, mixture
from mta_lab.errors import UserError, described

SPLITS = ("train", "valid")
TOKENIZER = "tokenizer.json"
BLOCK = 1 << 20  # bytes read at once
Stamps = Mapping[str, tuple[int, ...]]
"""size, inode and times of each file, by name"""

_read: dict[Path, Stamps] = {}


def content_hash(directory: Path, domains: Sequence[str], own: Collection[str], width: int) -> str:
    """Return a SHA-256 over the tokens of `directory`, `width` bytes each, its tokenizer's vocabulary and its splits.

    `own` are those of the domains that are the user's own text.
    """
    content = hashlib.sha256(json.dumps(sorted(_vocabulary(directory / TOKENIZER).items())).encode())
    if len(own) > 1 and set(own) & mixture.PAPER.keys():  # not the shares of a built-in corpus of the same tokens
        content.update(b"own text: every domain has the same share\n")
    for domain in domains:
        for split in SPLITS:
            size = _feed(directory / f"{domain}.{split}.bin", content.update)
            content.update(f"{domain}.{split} {size // width}\n".encode())
    return content.hexdigest()


def check(directory: Path, expected: str, content: Callable[[], str]) -> None:
    """Refuse files that are not those that were prepared; read them unless this process knows their stamps.

    `expected` is the content hash that the manifest says, `content` the one that the files have.
    """
    stamps = cache.stamps(directory)
    if _read.get(directory) == stamps:
        return
    cache.refuse_damaged(directory)
    if content() != expected:
        said = f"the tokens in {directory} are not those that its manifest names (content hash {expected[:16]})"
        raise UserError(f"data: {said}; {cache.remedy(directory)}")
    _read[directory] = stamps


def known() -> Mapping[Path, Stamps]:
    """Return the directories that this process has read whole, for a worker that is to trust them."""
    return dict(_read)


def trust(directories: Mapping[Path, Stamps]) -> None:
    """Take for read what another process of this launch has read, as long as its files have the same stamps."""
    _read.update(directories)


def _vocabulary(file: Path) -> dict[str, int]:
    try:
        return dict(Tokenizer.from_file(str(file)).get_vocab())
    except Exception as error:  # the library's own, which has no class
        raise UserError(f"data: {file} is no tokenizer ({described(error)}); {cache.remedy(file.parent)}") from None


def _feed(path: Path, update: Callable[[bytes], object]) -> int:
    """Give the file's bytes to `update`, and return how many there are."""
    size = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            update(block)
            size += len(block)
    return size
