"""Derive separate random streams from one seed."""

import hashlib


def derive(seed: int, purpose: str, stream: str = "") -> int:
    """Return a seed for `purpose` ("weights", "batches", "dropout").

    Seeds of two purposes, or of two streams, give unrelated random numbers.
    """
    digest = hashlib.sha256(f"{stream}{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
