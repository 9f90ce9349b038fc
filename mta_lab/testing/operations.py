"""The contract of an operation on the attention map; `conformance` has its tests among its own.

Shapes: B batch, M heads, Q query position, K key position.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from components.score_ops import ScoreOp
from mta_lab.testing.subjects import BATCH, HEADS, TOKENS, Subject


def operation(subject: Subject) -> ScoreOp:
    """Return the operation that the subject's layer shows alone."""
    module = subject.build_random()
    (op,) = (part for part in module.modules() if isinstance(part, ScoreOp))
    return op


def a_map() -> tuple[Tensor, Tensor]:
    """Return a random map [B, M, Q, K], invisible places too, and the causal mask [Q, K]."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(BATCH, HEADS, TOKENS, TOKENS, generator=generator), torch.ones(TOKENS, TOKENS).tril().bool()


def test_earlier_queries(op_subject: Subject) -> None:
    """Changing a row changes no row before it, nor any more than `earlier_queries` after it."""
    op, (scores_BMQK, visible_QK) = operation(op_subject), a_map()
    if op.earlier_queries is None:
        pytest.skip("it declares no earlier_queries: it is computed on whole maps")
    with torch.no_grad():
        before_BMQK = op(scores_BMQK, visible_QK)
        for row in range(TOKENS):
            changed_BMQK = scores_BMQK.clone()
            changed_BMQK[:, :, row] += 50.0
            same_QK = (op(changed_BMQK, visible_QK) == before_BMQK).all(0).all(0) | ~visible_QK
            assert same_QK[:row].all(), f"a row before {row} reads it"
            assert same_QK[row + op.earlier_queries + 1 :].all(), f"more than {op.earlier_queries} rows after read it"


def test_block_of_rows(op_subject: Subject) -> None:
    """On a block of rows, those below the first `earlier_queries` come out as on the whole map."""
    op, (scores_BMQK, visible_QK) = operation(op_subject), a_map()
    if op.earlier_queries is None:
        pytest.skip("it declares no earlier_queries: it is computed on whole maps")
    with torch.no_grad():
        whole_BMQK = op(scores_BMQK, visible_QK)
        for start, stop in ((0, 1), (0, 6), (2, 7), (4, 9)):
            first = max(0, start - op.earlier_queries)
            seen_QK = visible_QK[first:stop, :stop]
            block_BMQK = op(scores_BMQK[:, :, first:stop, :stop], seen_QK).masked_fill(~seen_QK, 0.0)
            expected_BMQK = whole_BMQK[:, :, start:stop, :stop].masked_fill(~visible_QK[start:stop, :stop], 0.0)
            torch.testing.assert_close(block_BMQK[:, :, start - first :], expected_BMQK)


def test_right_rows(op_subject: Subject) -> None:
    """`right_rows` are those of `forward` below the first `earlier_queries`, of a block too."""
    op, (scores_BMQK, visible_QK) = operation(op_subject), a_map()
    if op.earlier_queries is None:
        pytest.skip("it declares no earlier_queries: generation computes all rows")
    with torch.no_grad():
        for first in (0, TOKENS - 1 - op.earlier_queries):
            block_BMQK, seen_QK = scores_BMQK[:, :, first:].clone(), visible_QK[first:]
            hidden_QK = ~seen_QK[op.earlier_queries :]
            expected_BMQK = op(block_BMQK, seen_QK)[:, :, op.earlier_queries :].masked_fill(hidden_QK, 0.0)
            found_BMQK = op.right_rows(block_BMQK, seen_QK).masked_fill(hidden_QK, 0.0)
            torch.testing.assert_close(found_BMQK, expected_BMQK)
            assert torch.equal(block_BMQK, scores_BMQK[:, :, first:]), "it changes the map that it is given"


def test_next_row(op_subject: Subject) -> None:
    """`next_row` is the last row of `forward`, made of the rows that it reads."""
    op, (scores_BMQK, visible_QK) = operation(op_subject), a_map()
    if op.earlier_queries is None or op.reads_invisible:
        pytest.skip("generation computes its rows from queries and keys")
    seen_BMQK = scores_BMQK.masked_fill(~visible_QK, 0.0)
    window_BMAL = F.pad(seen_BMQK[:, :, -op.earlier_queries - 1 :], op.keys_around)
    with torch.no_grad():
        torch.testing.assert_close(op.next_row(window_BMAL), op(scores_BMQK, visible_QK)[:, :, -1:])


def test_places_read(op_subject: Subject) -> None:
    """A row reads only the places that it says it reads.

    Those are `pointwise`, `reads_invisible`, or else the visible ones.
    """
    op, (scores_BMQK, visible_QK) = operation(op_subject), a_map()
    with torch.no_grad():
        before_BMQK = op(scores_BMQK, visible_QK)
        for query in range(TOKENS):
            for key in range(TOKENS):
                changed_BMQK = scores_BMQK.clone()
                changed_BMQK[:, :, query, key] += 50.0
                changed_QK = (op(changed_BMQK, visible_QK) != before_BMQK).any(0).any(0)
                if op.pointwise:
                    changed_QK[query, key] = False
                    assert not changed_QK.any(), f"pointwise, but another place reads {query, key}"
                readers = (changed_QK & visible_QK).any(1).nonzero().flatten().tolist()
                if key > query and not op.reads_invisible:
                    assert not readers, f"rows {readers} read the invisible place {query, key}"
                assert all(row >= key for row in readers), f"rows {readers} read key {key}, which is after them"
