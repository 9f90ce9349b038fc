"""Decompress files as they are read: all of their frames, and nothing but frames."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, BinaryIO, cast

READ = 1 << 16  # bytes at once


def arrow() -> ModuleType:
    """Return the module that reads Zstandard and parquet."""
    from mta_lab.data import arrow as found  # noqa: PLC0415  slow, and few texts need it

    return found


class _Frames(io.RawIOBase):
    """The content of all frames of a file, one after the other.

    `bz2.open` and `lzma.open` take bytes that begin no frame for the end: what follows is lost.
    """

    def __init__(self, raw: BinaryIO, begin: Callable[[], Any]) -> None:
        """Begin; `begin` returns a decompressor of one frame."""
        self._raw, self._begin, self._frame = raw, begin, begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            data = b""
            if self._frame.eof:
                if not (data := self._frame.unused_data or self._raw.read(READ)):
                    return 0
                self._frame = self._begin()
            elif self._frame.needs_input and not (data := self._raw.read(READ)):
                raise EOFError("it ends within a frame")
            if found := self._frame.decompress(data, len(buffer)):
                buffer[: len(found)] = found
                return len(found)


UNPACKERS: Mapping[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".bz2": lambda raw: io.BufferedReader(_Frames(raw, bz2.BZ2Decompressor), READ),
    ".xz": lambda raw: io.BufferedReader(_Frames(raw, lzma.LZMADecompressor), READ),
    ".zst": lambda raw: arrow().zstandard(raw),
}


def unpacked(raw: BinaryIO, packing: str) -> io.BufferedIOBase:
    """Return the content of an open file as a stream; `packing` is a key of UNPACKERS, or empty.

    Raises:
        EOFError: a compressed file has no byte, which no tool writes: it was cut off.
    """
    if not packing:
        return cast(io.BufferedIOBase, raw)
    if not raw.read(1):
        raise EOFError("it is empty")
    raw.seek(0)
    return cast(io.BufferedIOBase, UNPACKERS[packing](raw))
