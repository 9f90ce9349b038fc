"""The identity of a run, as data.

Needs no torch, so that records are read, compared and identified at once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENGINE = 4
"""Raise it when the decoder, initialisation, batches or training change what a run computes.

tests/training/test_engine.py fails where their curves move, and says how to record the new ones.
"""


@dataclass(frozen=True)
class Identity:
    """The parts that identify a run besides its configuration.

    Each is recorded, so that a change can be named.
    """

    meaning: str
    """what its components compute, measured (`mta_lab.config.meaning`);
    with a user's among them, 'code:' and a hash"""
    code: str
    """a hash of the code of a user's own components; empty where all of them ship"""
    text: str
    """a hash of the text that it reads; empty for a synthetic task, which reads none"""
    engine: int | None = ENGINE
    """None of a record that an earlier version wrote"""
    parent: str = ""
    """the fingerprint of the run that it starts from, of a stage, or the hash of a checkpoint's
    weights; empty where weights are drawn"""


def fingerprint_of(config: Mapping[str, Any], identity: Identity) -> str:
    """Return the fingerprint of a configuration in its canonical form: 16 hex digits.

    A record holds all it needs.
    """
    canonical = {name: section for name, section in config.items() if name not in ("scale", "parent", "init")}
    data = config.get("data", {})
    canonical["data"] = {"evaluate": data.get("evaluate")}  # the content hash says what is read,
    if data.get("mixture"):  # and the domains' shares where they are not set
        canonical["data"]["mixture"] = data["mixture"]
    whole = {"config": canonical, **vars(identity)}
    if not identity.parent:  # most runs start from drawn weights, and earlier ones knew nothing else
        del whole["parent"]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]
