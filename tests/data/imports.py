"""A tiny tokenizer file in Llama 3's format, and imports with it. Imports nothing slow."""

import base64
from functools import partial
from pathlib import Path

from mta_lab.data.importing import Asked, Input, by_hash
from mta_lab.data.reading import FileReader, Keys
from mta_lab.data.tokenizer import read_given

MERGED = [b"th", b"the", b" the", b"in", b"ing", b"ab", b"abab", b"\xe6\x9d", b"\xe6\x9d\xb1", b"12", b"123", b"\n\n"]


def tiktoken_lines(tokens: list[bytes]) -> str:
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))


def write_tokenizer(folder: Path) -> Path:
    """The 256 bytes and a few merges: with the special tokens, 524 entries."""
    path = folder / "tokenizer.model"
    path.write_text(tiktoken_lines([*(bytes([one]) for one in range(256)), *MERGED]))
    return path


def asked_of(source: Path, tokenizer: Path, shard: int) -> Asked:
    files = sorted(source.iterdir())
    inputs = [
        Input(
            name=one.name,
            size=one.stat().st_size,
            split_of=partial(by_hash, 0.2),
            read=partial(FileReader, one, one.stem, Keys()),
        )
        for one in files
    ]
    return Asked(source="s", inputs=inputs, given=read_given(tokenizer), settings={"source": "s"}, shard=shard)
