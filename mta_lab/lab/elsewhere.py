"""Find results of a sweep at another scale or with other settings, and the command for them."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from mta_lab.config import flatten, plain
from mta_lab.errors import UserError
from mta_lab.lab.plan import Plan
from mta_lab.results.records import settings_key
from mta_lab.sweep import Sweep
from mta_lab.sweep.naming import in_settings
from mta_lab.words import counted
from mta_lab.workspace import again

MOST = 3  # conditions that are listed
ROWS = ("attention", "seed", "stream")  # settings in which rows and seeds differ; all others are conditions


def elsewhere(found: Plan) -> list[str]:
    """Return a line for each other set of conditions under which runs are finished, most first."""
    assert found.under
    recorded = found.records.settings()
    here = _keys(found.sweep)
    one_of_each = {alike: name for name, alike in found.records.conditions().items() if recorded.get(name) not in here}
    there: dict[str, tuple[int, str]] = {}
    for name in one_of_each.values():
        record = found.records.usable(name)
        for scale, settings in _candidates(found, record.config, set(recorded.values())) if record else ():
            try:
                sweep, command = found.under(scale, in_settings(settings))
            except UserError:  # a setting of another version, or one that contradicts the rest by now
                continue
            count = len(_keys(sweep) & set(recorded.values()))
            if count and sweep.shown_as != found.sweep.shown_as:
                of = f"{count} of {counted(len(sweep.runs()), 'run')}"
                there[sweep.shown_as] = count, f"{of} {_are(count)} finished under {sweep.conditions}: {again(command)}"
    lines = [line for _, line in sorted(there.values(), reverse=True)]
    more = len(lines) - MOST
    return [*lines[:MOST], *([f"and some under {counted(more, 'further set')} of settings"] if more > 0 else [])]


def hint(found: Plan) -> str:
    """Return the first of these lines as the end of a message; empty where there is none."""
    lines = elsewhere(found) if found.under else []
    return f"; {lines[0]}" if lines else ""


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _keys(sweep: Sweep) -> set[str]:
    return {settings_key(plain(run.config)) for run in sweep.runs()}


def _candidates(found: Plan, config: Mapping[str, Any], recorded: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield scales and settings under which a row of the sweep may be the run of `config`."""
    scale = str(config["scale"])
    assert found.under
    try:
        sweep, _ = found.under(scale, [])
    except UserError:
        return
    theirs = _conditions(flatten(config))
    tried: list[Mapping[str, Any]] = []
    for row in sweep.rows:
        usual = _conditions(flatten(row.config))
        changed = {key: value for key, value in theirs.items() if usual.get(key) != value}
        if changed in tried:
            continue
        tree = _with(row.config, changed)
        if any(settings_key({**tree, "seed": seed}) in recorded for seed in sweep.seeds):
            tried.append(changed)
            yield scale, changed


def _conditions(flat: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flat.items() if key.partition(".")[0] not in ROWS}


def _with(config: Any, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's configuration, in its canonical form, with the changed settings."""
    tree: dict[str, Any] = deepcopy(plain(config))
    for key, value in changed.items():
        section, *path = key.split(".")
        node = tree if not path else tree.setdefault(section, {})
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1] if path else section] = value
    return tree
