"""Dropout of attention weights, at places that follow from the seed of each sequence alone.

So every implementation drops the same weights, in every block of rows, on any device, whatever
sequences share a batch. `cpu/csrc/softmax.h` draws the same numbers.

Shapes: B batch, M heads, Q query position, K key position.
"""

from typing import NamedTuple

import torch
from torch import Tensor

SMALL = 0xFFFFFFFF  # the lower 32 bits


class Dropout(NamedTuple):
    """The weights of a map that a forward pass drops; the others are scaled up."""

    share: float
    """probability of each weight to be dropped, above 0"""
    seeds: Tensor
    """of the sequences: [B] int64"""
    heads_a_mask: int = 1
    """neighbouring heads that drop the same places"""

    def __call__(self, weights_BMQK: Tensor) -> Tensor:
        """Return weights, each zero or times 1 / (1 - share); rows are the last Q of K queries."""
        kept_BMQK = self.kept(*weights_BMQK.shape[1:])
        return torch.where(kept_BMQK, weights_BMQK * (1.0 / (1.0 - self.share)), 0.0)

    def kept(self, heads: int, queries: int, keys: int) -> Tensor:
        """Return which weights are kept: [B, M, Q, K] bool."""
        device = self.seeds.device
        maps_M1 = torch.arange(heads // self.heads_a_mask, device=device)[:, None]
        queries_Q, keys_K = (torch.arange(first, keys, device=device) for first in (keys - queries, 0))
        streams_BMQ = _row_streams(self.seeds[:, None, None], maps_M1 << 32 | queries_Q)
        bits_BMQK = _random_bits(streams_BMQ[..., None], keys_K)
        return (bits_BMQK >= int(self.share * 2**32)).repeat_interleave(self.heads_a_mask, dim=1)


def _row_streams(seeds: Tensor, rows: Tensor) -> Tensor:
    """Return 32 bits for each row of a sequence: splitmix64's finalizer, modulo 2^64."""
    x = seeds + rows * _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return (x ^ _shifted(x, 31)) & SMALL


def _random_bits(streams: Tensor, keys: Tensor) -> Tensor:
    """Return 32 well-mixed bits for each key of each row: the finalizer of MurmurHash3."""
    x = streams ^ (keys * 0x9E3779B9 & SMALL)
    x = (x ^ x >> 16) * 0x85EBCA6B & SMALL
    x = (x ^ x >> 13) * 0xC2B2AE35 & SMALL
    return x ^ x >> 16


def _shifted(x: Tensor, places: int) -> Tensor:
    """Return x shifted right as unsigned numbers are."""
    return x >> places & (1 << 64 - places) - 1


def _signed(constant: int) -> int:
    """Return the int64 of the same 64 bits."""
    return constant - (1 << 64) if constant >> 63 else constant
