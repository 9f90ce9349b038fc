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
    """Yield the rows of an open parquet file, with those columns; with all if it lacks one.

    Columns are dotted where they are nested. A message then lists all that there are.
    """
    file = ParquetFile(raw)
    leaves = [f"{file.schema.column(number).path}." for number in range(len(file.schema))]
    has_all = all(any(leaf.startswith(f"{column}.") for leaf in leaves) for column in columns)
    for batch in file.iter_batches(batch_size=ROWS, columns=list(columns) if has_all else None):
        yield from batch.to_pylist()
