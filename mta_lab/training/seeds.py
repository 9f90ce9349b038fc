"""Separate random streams from one seed."""

import hashlib


def derive(seed: int, purpose: str, stream: str = "") -> int:
    """Return a seed for `purpose` ("weights", "batches", "dropout"); those of two purposes or streams share nothing."""
    digest = hashlib.sha256(f"{stream}{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
