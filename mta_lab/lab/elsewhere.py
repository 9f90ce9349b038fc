"""Find results of a sweep at another scale or with other settings, and the command for them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from mta_lab.config import flatten, parent_of, plain
from mta_lab.errors import UserError
from mta_lab.lab.plan import Plan
from mta_lab.results.recorded_settings import ROWS
from mta_lab.results.records import settings_key
from mta_lab.sweep import Sweep
from mta_lab.sweep.naming import in_settings
from mta_lab.words import counted
from mta_lab.workspace import again

MOST = 3  # conditions that are listed
LOOKED_AT = 8  # conditions that are looked at: a search leaves hundreds, each of a few runs


def elsewhere(found: Plan) -> list[str]:
    """Return a line for each other set of conditions under which runs are finished, most first."""
    assert found.under
    keys, here = found.records.keys(), _keys(found.sweep)
    recorded = {each.settings for each in keys.values()}
    groups = defaultdict[str, list[str]](list)
    for name, each in keys.items():
        if each.settings not in here:
            groups[each.conditions].append(name)
    largest = sorted(groups.values(), key=len, reverse=True)[:LOOKED_AT]
    at_scale = cache(partial(_at_scale, found))
    there: dict[str, tuple[int, str]] = {}
    for names in largest:
        record = found.records.usable(names[0])
        for scale, settings in _candidates(at_scale, record.config, recorded) if record else ():
            try:
                sweep, command = found.under(scale, in_settings(settings))
            except UserError:  # a setting of another version, or one that contradicts the rest by now
                continue
            finished = _keys(sweep) & recorded
            count = len(finished)
            # A tuned row has a value that a command may set: those runs are in this table already.
            if not finished <= here and sweep.shown_as != found.sweep.shown_as:
                of = f"{count} of {counted(len(sweep.runs()), 'run')}"
                there[sweep.shown_as] = count, f"{of} {_are(count)} finished under {sweep.conditions}: {again(command)}"
    lines = [line for _, line in sorted(there.values(), reverse=True)]
    more, unseen = len(lines) - MOST, len(groups) - len(largest)
    if more > 0:
        lines[MOST:] = [f"and some under {counted(more, 'further set')} of settings"]
    if lines and unseen > 0:
        lines.append(f"{counted(unseen, 'further set')} of settings with fewer runs were not looked at")
    return lines


def hint(found: Plan) -> str:
    """Return the first of these lines as the end of a message; empty where there is none."""
    lines = elsewhere(found) if found.under else []
    return f"; {lines[0]}" if lines else ""


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _keys(sweep: Sweep) -> set[str]:
    trees = [plain(row.config) for row in sweep.rows]
    return {settings_key(_seeded(tree, seed)) for tree in trees for seed in sweep.seeds}


def _seeded(tree: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return a configuration, in its canonical form, under a seed, and all that it starts from."""
    parent = {"parent": _seeded(tree["parent"], seed)} if "parent" in tree else {}
    return {**tree, "seed": seed, **parent}


def _at_scale(found: Plan, scale: str) -> Sweep | None:
    """Return the sweep at a scale, without settings; None where it cannot be."""
    assert found.under
    try:
        return found.under(scale, [])[0]
    except UserError:
        return None


def _candidates(
    at_scale: Callable[[str], Sweep | None], config: Mapping[str, Any], recorded: set[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield scales and settings under which a row of the sweep may be the run of `config`."""
    scale = str(config["scale"])
    sweep = at_scale(scale)
    if sweep is None:
        return
    sections = _conditions(_first(config))
    theirs = flatten(sections)
    tried: list[Mapping[str, Any]] = []
    for row in sweep.staged.rows:  # a stage follows from the run that a row starts with
        if parent_of(row.config):
            continue
        usual = flatten(_conditions(plain(row.config)))
        changed = {key: value for key, value in theirs.items() if usual.get(key) != value}
        if changed in tried:
            continue
        tree = {**plain(row.config), **sections}
        if any(settings_key({**tree, "seed": seed}) in recorded for seed in sweep.seeds):
            tried.append(changed)
            yield scale, changed


def _first(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration of the run that a chain of stages began with."""
    return _first(config["parent"]) if "parent" in config else config


def _conditions(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: section for name, section in config.items() if name not in ROWS}
