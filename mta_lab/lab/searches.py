"""Run and read the search of a sweep; for a sweep without one, there is nothing to do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mta_lab.errors import UserError
from mta_lab.lab.display import Say
from mta_lab.lab.plan import Plan, resolved_auto
from mta_lab.lab.texts import preparing
from mta_lab.launch.launch import LaunchOptions, launch_search, study_name
from mta_lab.planning.runs import Run, run_of, runs_of
from mta_lab.sweep import PlannedRun
from mta_lab.sweep.search import Found, Search, Searched
from mta_lab.words import counted
from mta_lab.workspace import JOURNAL

if TYPE_CHECKING:
    from mta_lab.scheduling import Trials


def open_existing(plan: Plan) -> Plan:
    """Return the plan with its templates at the best values found so far."""
    search = plan.sweep.search
    if search is None:
        return plan
    assert plan.reload
    studies = _studies(plan, search)
    winners = {
        row: Found(values=[best.values for best in trials.best(search.winners)], trials=trials.ended())
        for row, trials in studies.items()
    }
    sweep = replace(plan.reload(winners), seeds=plan.sweep.seeds)
    for row, reason in sweep.left_out.items():
        plan.display.note(f"{plan.given}: row '{row}' is left out: {reason}")
    return replace(plan, sweep=sweep)


def search(plan: Plan, options: LaunchOptions) -> Plan:
    """Run the trials that are missing, and return the plan with the winners as rows.

    Raises:
        UserError: every trial of a row failed.
    """
    found = plan.sweep.search
    if found is None:
        return plan
    missing = trials_left(plan).total()
    if missing:
        total = sum(map(found.trials_of, found.templates))
        plan.display.say(f"{plan.sweep.title}: {missing} of {counted(total, 'trial')} to run on {options.place}")
        open_corpus = preparing(plan.display)
        runs_of(plan.sweep, open_corpus)  # refuses text that is too short for the rows before the trials run

        def to_task(run: PlannedRun) -> Run:
            return run_of(replace(run, config=resolved_auto(run.config, run.config, plan.display)), open_corpus)

        with plan.display.launch() as display:
            launch_search(
                plan.sweep,
                to_task,
                missing=missing,
                records=plan.records,
                options=options,
                display=display,
                open_studies=lambda say: _studies(plan, found, say),
            )
    plan = open_existing(plan)
    for row, trials in _studies(plan, found).items():
        counts = ", ".join(f"{count} {state}" for state, count in trials.counts().items() if count)
        plan.display.say(f"{row}: {counts}; best: {_brief(trials, found.winners)}")
        if not trials.best(1):
            where = plan.records.directory / "failed"
            raise UserError(
                f"{plan.given}: no trial of row '{row}' finished; the files in {where} say why; "
                "the same command tries again"
            )
    return plan


def searched(plan: Plan) -> dict[str, Searched]:
    """Return what is known of the search of each row that has begun."""
    found = plan.sweep.search
    studies = _studies(plan, found) if found else {}
    return {row: Searched(trials=one.tried(), importance=one.importance()) for row, one in studies.items()}


def trials_left(plan: Plan) -> Counter[str]:
    """Return how many trials of each template are left to run."""
    search = plan.sweep.search
    if search is None:
        return Counter()
    ended = {row: trials.ended() for row, trials in _studies(plan, search).items()}
    return Counter({row: max(0, search.trials_of(row) - ended.get(row, 0)) for row in search.templates})


def finished_trials(plan: Plan) -> list[Run]:
    """Return the finished trials as runs; the text that they read is prepared first."""
    found = plan.sweep.search
    if found is None:
        return []
    ended = [
        (row, f"{row} trial {trial.number}", trial.values)
        for row, trials in _studies(plan, found).items()
        for trial in trials.best(found.trials_of(row))
    ]
    return _runs(plan, found, ended)


def failed_trials(plan: Plan) -> list[Run]:
    """Return the failed trials as runs named by their row; the text they read is prepared first."""
    found = plan.sweep.search
    if found is None:
        return []
    failed = [
        (row, row, values)
        for row, trials in _studies(plan, found).items()
        for values in trials.failed()
        if values.keys() == found.space_of(row).keys()  # a trial may have failed before all its values were chosen
    ]
    return _runs(plan, found, failed)


def _runs(plan: Plan, search: Search, trials: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[Run]:
    """Return trials, given as (row, name, values), as runs.

    Values that contradict each other make no run.
    """
    open_corpus = preparing(plan.display)
    runs = []
    for row, name, values in trials:
        try:
            config = search.config(row, values)
        except UserError:
            continue
        config = resolved_auto(config, config, plan.display)
        runs.append(run_of(PlannedRun(row=name, seed=config.seed, config=config), open_corpus))
    return runs


def _studies(plan: Plan, search: Search, say: Say | None = None) -> dict[str, "Trials"]:
    """Return the studies that exist, by row; or with `say`, all of them, opened for a launch."""
    from mta_lab.scheduling import Trials  # noqa: PLC0415  imports Optuna; sweeps without a search do without

    journal, direction = plan.records.directory / JOURNAL, plan.sweep.validated_by.direction
    found = {
        row: Trials.opened(journal, name, say, space, direction, search.method(row))
        if say
        else Trials.open_existing(journal, name, space)
        for row in search.templates
        for name, space in [(study_name(plan.sweep, row), search.space_of(row))]
    }
    return {row: trials for row, trials in found.items() if trials}


def _brief(trials: "Trials", count: int) -> str:
    """Return the best trials with their values, in words."""
    texts = []
    for best in trials.best(count):
        values = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in best.values.items()
        )
        texts.append(f"trial {best.number} ({values}) {best.score:.3f}")
    return "; ".join(texts) or "none"
