"""Keep the last rows of a map that an operation reads again, as generation adds one row a token.

Shapes: B batch, M heads, A rows that the operation reads for one, K keys, R rows with room for
more, L keys with zeros around.
"""

from dataclasses import dataclass, replace

from torch import Tensor

MORE = 8
"""rows and keys that there is room for: a copy for each token would take longer"""


@dataclass(frozen=True)
class RecentRows:
    """The last A - 1 rows of a map; what a row cannot see is zero in it."""

    buffer: Tensor
    """[B, M, R, room for L and more]; zero where nothing has been written"""
    written: int
    """how many of its R rows have been"""
    earlier: int
    """A - 1"""
    around: tuple[int, int]
    """zeros before the first key and behind the last, as the operation reads them"""

    @classmethod
    def of(cls, rows_BMAK: Tensor, around: tuple[int, int]) -> "RecentRows":
        """Return these rows with room for more."""
        batch, heads, earlier, keys = rows_BMAK.shape
        room = (batch, heads, earlier + MORE, around[0] + keys + MORE + around[1])
        buffer_BMRL = rows_BMAK.new_zeros(room)
        buffer_BMRL[:, :, :earlier, around[0] : around[0] + keys] = rows_BMAK
        return cls(buffer_BMRL, earlier, earlier, around)

    def extended(self, row_BM1K: Tensor) -> tuple["RecentRows", Tensor]:
        """Return the last rows with a further one, which has one more key, and A rows to be read.

        It is written into the buffer, so that two sequences need one each (`select`).
        """
        (before, after), keys = self.around, row_BM1K.shape[3]
        if self.written == self.buffer.shape[2]:
            rows_BMAK = self.buffer[:, :, self.written - self.earlier :, before : before + keys - 1]
            return RecentRows.of(rows_BMAK, self.around).extended(row_BM1K)
        self.buffer[:, :, self.written, before : before + keys] = row_BM1K[:, :, 0]
        rows = slice(self.written - self.earlier, self.written + 1)
        window_BMAL = self.buffer[:, :, rows, : before + keys + after]
        return replace(self, written=self.written + 1), window_BMAL

    def select(self, sequences_B: Tensor) -> "RecentRows":
        """Return a copy for these sequences of the batch, any of them several times."""
        return replace(self, buffer=self.buffer.index_select(0, sequences_B))
