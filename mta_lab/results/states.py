"""The state of a run, read from the records: one definition for launches, tables and commands."""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from importlib.metadata import version
from typing import Literal, TypeVar

from mta_lab.config import RunConfig, identity_of, plain
from mta_lab.errors import UserError
from mta_lab.identity import Identity
from mta_lab.results.records import Record, Records, settings_key

State = Literal["finished", "failed", "stale", "pending"]
"""'stale': its only results are of other component code,
other text or another engine, and do not count"""
Key = TypeVar("Key", bound=Hashable)


def outdated(missing: Mapping[Key, RunConfig], records: Records) -> dict[Key, list[str]]:
    """Return, for runs of `missing`, the fingerprints of other results of their settings."""
    if not missing:
        return {}
    recorded: dict[str, list[str]] = defaultdict(list)
    for fingerprint, settings in records.settings().items():
        recorded[settings].append(fingerprint)
    keys = {key: settings_key(plain(config)) for key, config in missing.items()}
    return {key: recorded[settings] for key, settings in keys.items() if settings in recorded}


def states_of(runs: Mapping[str, RunConfig], records: Records) -> dict[str, State]:
    """Return the state of each run, by fingerprint.

    A record counts by its existence; it is not read.
    """
    states: dict[str, State] = {name: "finished" if records.has_finished(name) else "pending" for name in runs}
    states |= {name: "failed" for name, state in states.items() if state == "pending" and records.failed(name)}
    # An attempt that failed was asked for: `retry` need not be told once more to train a stale run.
    untried = [name for name, state in states.items() if state == "pending" and not records.attempts(name)]
    return states | dict.fromkeys(outdated({name: runs[name] for name in untried}, records), "stale")


def latest(fingerprints: list[str], records: Records) -> Record:
    """Return the result among these that was measured last."""
    found = [record for fingerprint in fingerprints if (record := records.usable(fingerprint))]
    if not found:
        raise UserError(
            f"the record of {fingerprints[0]} went away, or cannot be used any more; give the command again"
        )
    return max(found, key=lambda record: str(record.provenance.get("finished", "")))


def changed_since(record: Record, config: RunConfig, content_hash: str, parent: str = "") -> str:
    """Return the parts of the identity by which the record is another run's, by name.

    `parent` is the fingerprint of the run that a stage starts from today.
    """
    now = identity_of(config, content_hash, parent)
    found = causes(record.identity, now, str(record.provenance.get("torch", "")))
    return ", ".join(found) or OTHERWISE


OTHERWISE = "the way runs are identified"


def causes(then: Identity, now: Identity, torch_then: str) -> list[str]:
    """Return the names of the parts of the identity that differ.

    `torch_then` is the version that measured the record's.
    """
    if then.engine != now.engine:  # nothing else of an earlier engine's record need mean the same
        number = "an earlier one" if then.engine is None else then.engine
        found = [f"engine version ({number} then, {now.engine} now)"]
    elif then.code != now.code:
        found = ["component code"]
    else:
        found = _other_meaning(torch_then) if then.meaning != now.meaning else []
    found += ["text"] * (then.text != now.text)
    return found or ["the run that it starts from"] * (then.parent != now.parent)


def _other_meaning(torch_then: str) -> list[str]:
    """Return a line that a shipped component computes otherwise now.

    It names torch's version where that may be why.
    """
    now = version("torch")
    torch = f" (torch {torch_then} then, {now} now)" if torch_then not in ("", now) else ""
    return [f"what its components compute{torch}"]
