"""Find two results and set them side by side: two runs, two sweeps, one sweep at two commits."""

import os
import shlex
from collections import Counter
from contextlib import suppress
from dataclasses import replace

from mta_lab.config import flatten, throughout
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.plan import Plan
from mta_lab.lab.plans import plan
from mta_lab.lab.tables import finished_table
from mta_lab.lab.trained import is_run, run_named
from mta_lab.plugins import load_components
from mta_lab.report.diff import Side, diff_page
from mta_lab.report.page import Page
from mta_lab.results.records import Record
from mta_lab.results.states import outdated
from mta_lab.words import counted


def diff(one: str, other: str, conditions: Conditions, display: Display) -> Page:
    """Return a page that sets two results side by side; `conditions` hold for both.

    Each is the start of a run's fingerprint, the file of its record, or a sweep: its name or file,
    behind it perhaps `@COMMIT` for the runs that this commit trained, and KEY=VALUE settings of its
    own.

    Raises:
        UserError: one of the two is not known, has no finished run, or is a run and the other none.
    """
    if is_run(one) != is_run(other):
        run = one if is_run(one) else other
        raise UserError(f"{run}: is one run, and the other is a sweep; name two runs or two sweeps")
    load_components(conditions.components)
    side = _run if is_run(one) else _sweep
    return diff_page(side(one, conditions, display), side(other, conditions, display))


def _run(name: str, conditions: Conditions, display: Display) -> Side:
    if conditions.settings:
        given = f"got {' '.join(conditions.settings)}, allowed: nothing besides"
        raise UserError(f"{name}: {given}, as a fingerprint or file names one run by itself")
    record, _ = run_named(name, display)
    seed = int(record.config["seed"])
    label = f"run {record.fingerprint}, seed {seed}"
    return Side(name=label, runs={"run": {seed: record}}, settings={"run": flatten(record.config)})


def _sweep(given: str, conditions: Conditions, display: Display) -> Side:
    name, *settings = _words(given)
    commit = ""
    if not os.path.isfile(name):
        name, _, commit = name.partition("@")
    found = plan(name, replace(conditions, settings=(*conditions.settings, *settings)), display)
    if commit:
        runs = _at_commit(found, commit)
    else:
        runs = {row.name: dict(row.measured.records) for row in finished_table(found).rows}
    at = f" at commit {commit}" if commit else ""
    return Side(
        name=f"{found.sweep.name} ({found.sweep.conditions}){at}",
        runs=runs,
        settings={row.name: flatten(row.config) for row in found.sweep.rows},
    )


def _words(given: str) -> list[str]:
    """Return a sweep's name and its settings; all is the name where it is a file's, or no words."""
    if not os.path.isfile(given):
        with suppress(ValueError):  # a quotation mark that is not closed: perhaps an apostrophe
            return shlex.split(given) or [given]
    return [given]


def _at_commit(plan: Plan, commit: str) -> dict[str, dict[int, Record]]:
    """Return the finished runs of a sweep's settings that a commit trained, by row and seed.

    Raises UserError where there is none, with the commits that trained some.
    """
    planned = {
        (row.name, seed): throughout(row.config, seed=seed) for row in plan.sweep.rows for seed in plan.sweep.seeds
    }
    found: dict[str, dict[int, Record]] = {row.name: {} for row in plan.sweep.rows}
    commits = Counter[str]()
    for (row, seed), names in outdated(planned, plan.records).items():
        records = [record for name in names if (record := plan.records.usable(name))]
        commits.update(str(record.provenance["commit"]) for record in records)
        of_commit = [record for record in records if str(record.provenance["commit"]).startswith(commit)]
        for record in of_commit:
            found[row][seed] = record
    if not any(found.values()):
        known = ", ".join(f"{name} ({counted(runs, 'run')})" for name, runs in sorted(commits.items())) or "none"
        raise UserError(f"{plan.given}@{commit}: no run of it was trained by that commit; commits of its runs: {known}")
    return {row: dict(sorted(runs.items())) for row, runs in found.items()}
