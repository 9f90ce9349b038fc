"""Separate random streams from one seed."""

import hashlib


def derive(seed: int, purpose: str) -> int:
    """A seed for `purpose` ("weights", "batches", "dropout"); streams of two purposes share nothing."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
