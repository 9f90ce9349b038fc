"""What commands on a sweep begin with: its plan, the runs' runs, and the table of what is finished."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mta_lab.cli.common import CORPORA, dashboard_address, note, open_records
from mta_lab.config import DataConfig, RunConfig
from mta_lab.data import Corpus, find, prepare
from mta_lab.errors import UserError
from mta_lab.planning.runs import Run, runs_of
from mta_lab.planning.texts import recorded_runs
from mta_lab.plugins import load_components
from mta_lab.results.records import Records
from mta_lab.sweep import PlannedRun, Sweep, load_sweep
from mta_lab.sweep.naming import called_as_shipped
from mta_lab.sweep.search import Winners
from mta_lab.tracking.entries import LaunchSummary

if TYPE_CHECKING:
    from mta_lab.report import Table


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved sweep and where its records are."""

    given: str
    """the sweep's name or file, as it was given"""
    sweep: Sweep
    records: Records
    command: str
    """what trains it, as it is typed"""
    retry: str
    """what tries its failed runs again, as it is typed"""
    report: str = ""
    """what shows its table, as it is typed; empty for a run of `train`"""
    under: Callable[[str, Sequence[str]], tuple[Sweep, str]] | None = None
    """the sweep at another scale and under other settings, before any search, and what shows its table"""
    reload: Callable[[Winners], Sweep] | None = None
    """the sweep anew, its searched rows at the values that won"""
    rerun_stale: bool = False
    """whether a launch trains runs anew whose only results are of other code, text or engine"""


def plan(name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]) -> Plan:
    """Resolve a sweep; every mistake in it is said here, before anything starts."""
    load_components(components)

    def load(winners: Winners) -> Sweep:
        return load_sweep(
            name, scale=scale, settings=settings, seeds=seeds, resolve_auto=resolved_auto, winners=winners
        )

    def command(verb: str) -> str:
        return typed(verb, name, *settings, scale=scale, seeds=seeds, components=components)

    def under(other: str, words: Sequence[str]) -> tuple[Sweep, str]:
        shown = typed("report", name, *words, scale=other, seeds=seeds, components=components)
        return load_sweep(name, scale=other, settings=words, seeds=seeds), shown

    sweep = load({})
    _say_which(name, sweep)
    found = Plan(
        given=name,
        sweep=sweep,
        records=open_records(),
        command=command("sweep"),
        retry=command("retry"),
        report=command("report"),
        under=under,
        reload=load,
    )
    if sweep.search is None:
        return found
    from mta_lab.cli.searching import open_existing

    return open_existing(found)


def _say_which(given: str, sweep: Sweep) -> None:
    """Say which sweep is meant where a file of a user's is called as one that ships."""
    if sweep.file:
        if called_as_shipped(sweep.file):
            shipped = sweep.file.stem.replace("-", "_")
            note(f"{given}: is this file, not the sweep {shipped} that ships; its results are called {sweep.name}")
        return
    for path in (Path(f"{sweep.name}.yaml"), Path(sweep.name)):
        if path.is_file() and called_as_shipped(path):
            note(f"{given}: is the sweep that ships, not the file {path} here; for that, type ./{path}")


def typed(*words: str, scale: str, seeds: int | None, components: Sequence[Path]) -> str:
    """A command as it is typed: verb, name and settings, and the options that decide what is trained."""
    options = ["--scale", scale, *(["--seeds", str(seeds)] if seeds else [])]
    options += [word for path in components for word in ("--components", str(path))]
    return shlex.join(["mta-lab", *words, *options])


def resolved_auto(config: RunConfig, like: RunConfig) -> RunConfig:
    """`config` with what it leaves open decided for this machine."""
    if config.training.precision != "auto":
        return config
    from mta_lab.precision import resolve_auto

    return resolve_auto(config, like, note)


def preparing(console: Console) -> Callable[[PlannedRun], Corpus]:
    """Opens the text of a run, prepared first where that is needed."""
    return _opener(lambda run: prepare(run.config.data, run.config.model.vocabulary, CORPORA, console.print))


def finished_table(plan: Plan) -> "Table":
    """The table of what is finished; says so where the text is known by the records alone."""
    runs = known_runs(plan)
    if runs is None:
        raise UserError(
            f"{plan.given}: its text is not prepared here, and no run of it is finished in {plan.records.directory}; "
            f"`{plan.command}` prepares it and trains what is missing"
        )
    table = table_of(plan, runs)
    for remark in table.remarks:
        note(f"{plan.given}: {remark}")
    return table


def _remarks(plan: Plan, runs: Sequence[Run]) -> tuple[str, ...]:
    """Say which text the runs of a table read, where it is known by their records alone."""
    read = sorted({run.content_hash[:16] for run in runs} - {""})
    if not read or not _absent_texts(plan):
        return ()
    return (f"the text is not prepared here; the finished runs read the one with the hash {', '.join(read)}",)


def known_runs(plan: Plan) -> list[Run] | None:
    """Return the runs on the text that is prepared here, or else on the one that finished runs read.

    None where there is neither: nothing is finished then.
    """
    absent = _absent_texts(plan)
    if not absent:
        return runs_of(plan.sweep, _opener(_open_prepared))
    runs = recorded_runs(plan.sweep, plan.records)
    if runs is None:
        for data, vocabulary in absent:
            find(data, vocabulary, CORPORA)  # a path that is misspelt is said
    return runs


def _absent_texts(plan: Plan) -> list[tuple[DataConfig, int]]:
    """The texts of the sweep that are not prepared here, and the vocabularies they are read with."""
    texts = {(run.data, run.model.vocabulary) for run in (row.config for row in plan.sweep.rows) if run.reads_text}
    return [(data, vocabulary) for data, vocabulary in texts if not _is_here(data, vocabulary)]


def _is_here(data: DataConfig, vocabulary: int) -> bool:
    gone = data.path is not None and not Path(data.path).expanduser().exists()  # these are results from elsewhere
    return not gone and find(data, vocabulary, CORPORA) is not None


def _open_prepared(run: PlannedRun) -> Corpus:
    corpus = find(run.config.data, run.config.model.vocabulary, CORPORA)
    assert corpus
    return corpus


def _opener(open_one: Callable[[PlannedRun], Corpus]) -> Callable[[PlannedRun], Corpus]:
    """Open each text once, however many runs read it."""
    opened: dict[object, Corpus] = {}

    def open_corpus(run: PlannedRun) -> Corpus:
        key = (run.config.data, run.config.model.vocabulary)
        if key not in opened:
            opened[key] = open_one(run)
        return opened[key]

    return open_corpus


def launch_summary(plan: Plan, table: "Table") -> LaunchSummary:
    """Return what MLflow shows of the plan's table."""
    from mta_lab.report import markdown
    from mta_lab.report.data import summary
    from mta_lab.report.files import artifacts

    return LaunchSummary(markdown(table), summary(table), lambda: artifacts(table, plan.command, dashboard_address()))


def table_of(plan: Plan, runs: Sequence[Run]) -> "Table":
    """The table of the plan's runs, as far as `runs` are finished."""
    from mta_lab.report import build_table

    fingerprints = {(run.row, run.seed): run.fingerprint for run in runs}
    return replace(build_table(plan.sweep, fingerprints, plan.records), remarks=_remarks(plan, runs))
