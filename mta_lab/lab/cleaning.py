"""Find what may be removed of a results directory, and remove it while no launch runs."""

from collections.abc import Collection, Mapping
from contextlib import nullcontext, suppress
from typing import Any, Literal

from mta_lab.config import RunConfig, chain_of, fingerprint, plain
from mta_lab.data import find
from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.lab.own_sweeps import remembered
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import finished_trials
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import tuning_runs
from mta_lab.launch.guards import only_launch
from mta_lab.pictures.trained import config_of
from mta_lab.planning.runs import with_parents
from mta_lab.results import cleaning
from mta_lab.results.cleaning import Removable
from mta_lab.results.recorded_settings import without
from mta_lab.results.records import Record, Records, settings_key
from mta_lab.sweep import load_sweep, shipped_sweeps
from mta_lab.sweep.written import read_sweep
from mta_lab.words import counted
from mta_lab.workspace import CORPORA

Kind = Literal["checkpoints", "weights", "stale"]
LOST: Mapping[Kind, str] = {
    "checkpoints": "unfinished runs, which would start again from step 0",
    "weights": "finished models: pictures, evaluations and stages need them, tables do not",
    "stale": "results of other code, text or engine, with their weights; no table counts them",
}


def clean(
    records: Records, display: Display, kinds: Collection[Kind], plan: Plan | None = None, *, remove: bool
) -> None:
    """Say what may be removed of the records' directory and its size; then `remove` it, if told to.

    - checkpoints: of runs that have not finished;
    - weights: of finished runs, but those from which stages have started, or may start in a sweep
      that is known here;
    - stale: runs of other component code, text or engine than today's, with their weights, but
      those from which stages that stay have started.

    With a `plan`, only its own runs.

    Raises:
        UserError: something is to be removed, and a launch runs in the directory.
    """
    with only_launch(records.directory) if remove else nullcontext():
        found = _removable(records, display, kinds)
        if plan:
            runs = _runs_of(plan)
            found = {kind: each.among(runs) for kind, each in found.items()}
        for kind, each in found.items():
            kept = f"; {each.kept} more stay, as stages start from them" if each.kept else ""
            display.say(f"{kind}: {counted(len(each.files), 'run')}, {each.size / 1e6:,.1f} MB: {LOST[kind]}{kept}")
        if remove:
            for each in found.values():
                each.remove()


def _removable(records: Records, display: Display, kinds: Collection[Kind]) -> Mapping[Kind, Removable]:
    finished = {record.fingerprint: record for record in records.all_finished()}
    parents = cleaning.parents(records)
    found: dict[Kind, Removable] = {}
    if "checkpoints" in kinds:
        found["checkpoints"] = cleaning.checkpoints(records)
    if "weights" in kinds:
        found["weights"] = cleaning.weights(records, {*parents.values()} | _awaited(finished, records, display))
    if "stale" in kinds:
        stale = _stale(finished)
        needed = {parent for stage, parent in parents.items() if stage not in stale}
        found["stale"] = cleaning.stale_runs(records, stale, needed)
    return found


def _stale(finished: Mapping[str, Record]) -> set[str]:
    """Return the fingerprints of runs that are stale, and of those that started from one.

    A run whose settings or components are not known here is not judged.
    """
    stale = set()
    for name, record in finished.items():
        with suppress(UserError):
            config = config_of(record.config, name)
            text = _text_of(config) or record.content_hash
            if fingerprint(config, text, record.parent) != name:
                stale.add(name)
    while later := {name for name, record in finished.items() if record.parent in stale} - stale:
        stale |= later
    return stale


def _text_of(config: RunConfig) -> str:
    """Return the hash of the text that a run would read today; empty where that is not known."""
    corpus = None
    if config.reads_text:
        with suppress(UserError):  # the folder of a text is gone
            corpus = find(config.data, config.model.vocabulary, CORPORA)
    return corpus.content_hash if corpus else ""


def _awaited(finished: Mapping[str, Record], records: Records, display: Display) -> set[str]:
    """Return the finished runs from which stages may start in a sweep that is known here.

    Settings of `training` are left aside: a command may have changed them.
    """
    starts = set()
    for scale in {str(record.config["scale"]) for record in finished.values()}:
        for name in [*shipped_sweeps(), *remembered(records, display)]:
            with suppress(UserError):  # the scale has no model, or the file is refused by now
                rows = load_sweep(name, scale=scale).rows if "stages" in read_sweep(name).values else ()
                starts |= {_start(plain(before)) for row in rows for before in chain_of(row.config)[:-1]}
    return {name for name, record in finished.items() if _start(record.config) in starts}


def _start(config: Mapping[str, Any]) -> str:
    return settings_key(without(config, ("seed", "training")))


def _runs_of(plan: Plan) -> set[str]:
    """Return the fingerprints of a plan's runs and trials, and of their stale results."""
    tuned = [run for runs in tuning_runs(plan).values() for run in runs]
    runs = with_parents([*(known_runs(plan) or ()), *tuned, *finished_trials(plan)])
    planned = [run.config for run in (*runs, *plan.sweep.staged.runs())]
    keys = {settings_key(plain(config)) for config in planned}
    recorded = {name for name, key in plan.records.settings().items() if key in keys}
    return recorded | {run.fingerprint for run in runs}
