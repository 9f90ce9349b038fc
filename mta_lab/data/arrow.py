"""Read what needs Arrow, which is slow to import: Zstandard and parquet. Imported where used."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import pyarrow
from pyarrow.parquet import ParquetFile

ROWS = 256  # read at once


def zstandard(raw: BinaryIO) -> io.BufferedReader:
    """Return the content of an open file, all its frames decompressed as they are read."""
    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), "zstd")
    return io.BufferedReader(cast(io.RawIOBase, stream))


def rows(raw: BinaryIO, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the rows of an open parquet file, with those columns; with all if it lacks one."""
    file = ParquetFile(raw)
    lacks = {column.split(".")[0] for column in columns} - {*file.schema_arrow.names}  # a message then lists all
    for batch in file.iter_batches(batch_size=ROWS, columns=None if lacks else list(columns)):
        yield from batch.to_pylist()
