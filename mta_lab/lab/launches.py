"""Launch a plan: search or tune it, train what is missing, show the table, say what is left."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property

from mta_lab.admission import admit
from mta_lab.config import scale_layer, shortened_warmup
from mta_lab.devices.visible import Gpu, gpus, trouble
from mta_lab.errors import UserError
from mta_lab.executors.launchers import LOCAL, Launcher
from mta_lab.lab.checkpoints import bring_in
from mta_lab.lab.costs import with_seeds
from mta_lab.lab.evaluations import ask_finished
from mta_lab.lab.own_sweeps import remember
from mta_lab.lab.passes import repeated
from mta_lab.lab.placing import check_together, usual_workers, workers_of
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import search
from mta_lab.lab.tables import launch_summary, table_of
from mta_lab.lab.texts import preparing
from mta_lab.lab.to_ask import cannot_ask
from mta_lab.lab.tuning import tune
from mta_lab.lab.turns import time_rows
from mta_lab.launch.launch import LaunchOptions, launch
from mta_lab.launch.requests import forget_requests, taken_seeds
from mta_lab.planning.runs import (
    Run,
    in_state,
    lost_records,
    refuse_damaged,
    runs_of,
    states,
    to_train,
    why_stale,
    with_parents,
)
from mta_lab.report import Table
from mta_lab.results.states import State
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import counted, counted_are
from mta_lab.workspace import CORPORA, again

WARMUP = "training.warmup_steps"
ONLY_ON_GPUS = {
    "tf32": "where it would be fp32 by another name",
    "fp16": "whose kernels have no float16",
}


@dataclass
class Launched:
    """A plan after its launch."""

    plan: Plan
    """the plan, with the winners of its search as rows"""
    runs: Sequence[Run]
    states: Mapping[str, State]
    """state of each run, by fingerprint"""
    rows: Sequence[str] | None = None
    """names of the rows that were launched; None: all"""
    asked: bool = True
    """False if a finished run could not be asked what its sweep says"""
    _shown: bool = field(default=False, init=False)

    @property
    def launched(self) -> list[Run]:
        """Return the runs of the rows that were launched."""
        return [run for run in self.runs if self.rows is None or run.row in self.rows]

    @cached_property
    def table(self) -> Table:
        """Return the table of what is finished.

        It is built on first use, so ask for it only when no run is being trained.
        """
        return table_of(self.plan, self.runs)

    def show(self) -> None:
        """Show the table on the display, once."""
        if not self._shown:
            self._shown = True
            self.plan.display.show(self.table)

    @property
    def complete(self) -> bool:
        """Return True if every run that was launched is finished, and asked what it should be."""
        return self.asked and all(self.states[run.fingerprint] == "finished" for run in self.launched)

    def left(self) -> list[str]:
        """Return a line on stopped, stale and failed runs each, with the command to type next."""
        lines = []
        if stopped := in_state(self.launched, self.states, "pending"):
            them = "it" if len(stopped) == 1 else "them"
            lines.append(f"{counted(len(stopped), 'run')} left; `{again(self.plan.command)}` goes on with {them}")
        if old := in_state(self.launched, self.states, "stale"):
            changed = ", ".join(sorted({why_stale(run, self.plan.records) for run in old}))
            them = "it" if len(old) == 1 else "them"
            are = counted_are(len(old), "run")
            lines.append(f"{are} stale ({changed} changed since); --rerun-stale trains {them} again")
        if failures := in_state(self.launched, self.states, "failed"):
            them = "it" if len(failures) == 1 else "them"
            lines.append(f"{counted(len(failures), 'run')} failed; `{again(self.plan.retry)}` tries {them} again")
        return lines


def launch_plan(
    plan: Plan,
    workers: int | None = None,
    trial_timeout: float | None = None,
    rows: Sequence[str] | None = None,
    devices: Sequence[Gpu] | None = None,
    devices_per_run: int = 1,
    launcher: Launcher = LOCAL,
) -> Launched:
    """Train what is missing of a plan, or of its `rows`; show the table, and say what is left.

    Args:
        plan: the planned sweep; its search runs first, or what tunes its rows.
        workers: number of processes; None for `usual_workers`.
        trial_timeout: seconds after which an attempt is ended; None for no limit.
        rows: names of the rows to train; None for all.
        devices: the GPUs that workers have in turn; None for all that are visible.
        devices_per_run: how many of them train a run together; on the CPU, how many processes.
        launcher: where the workers are.

    Raises:
        UserError: a row's precision is for GPUs, and there is none; or so many devices cannot train
            a run together.
        KeyboardInterrupt: the launch was interrupted. The table is shown first, and the message
            says what is left; the same launch goes on from there.
    """
    options = launch_options(plan, workers, trial_timeout, devices, devices_per_run, launcher)
    bring_in(plan)
    forget_requests(plan.records.directory)
    plan = _prepared(plan, options)
    launched = _launched(plan, rows, options)
    while (seeds := taken_seeds(plan.records.directory, plan.sweep.shown_as)) > len(launched.plan.sweep.seeds):
        launched = _launched(_more_seeds(launched.plan, seeds), rows, options)
    plan = launched.plan
    remember(plan.given, plan.records, plan.display)
    _ask(launched)
    launched.show()
    for line in launched.left():
        plan.display.say(line)
    return launched


def _launched(plan: Plan, rows: Sequence[str] | None, options: LaunchOptions) -> Launched:
    """Train what is missing of a plan as it stands."""
    runs = runs_of(plan.sweep, preparing(plan.display))
    launched = Launched(plan, runs, states(runs, plan.records), rows)
    refuse_damaged(runs, launched.states, plan.records)
    to_do = to_train(launched.launched, launched.states, rerun_stale=plan.rerun_stale)
    for line in [*shortened_warmups(plan), *shared_tokens(plan), *repeated(plan), *lost_records(to_do, plan.records)]:
        plan.display.say(line)
    for line in cannot_ask(plan) if to_do else ():  # else they are asked at once, which says it
        plan.display.note(line)
    plan.display.say(f"{plan.sweep.title}: {_to_do(launched, len(to_do), options)}")
    if to_do:
        try:
            _train(launched, options)
        except KeyboardInterrupt:
            remember(plan.given, plan.records, plan.display)
            launched.show()
            left = len(to_train(launched.launched, states(runs, plan.records), rerun_stale=plan.rerun_stale))
            goes_on = f"the same command goes on with them: {again(plan.command)}"
            raise KeyboardInterrupt(f"interrupted; {counted(left, 'run')} left, {goes_on}") from None
        launched.states = states(runs, plan.records)
    return launched


def _more_seeds(plan: Plan, seeds: int) -> Plan:
    """Return the plan with more seeds, as `mta-lab extend` asked for; its commands say so."""
    plan.display.say(f"{plan.sweep.title}: {counted(seeds, 'seed')} of every row now, as asked while it ran")

    def typed(command: str) -> str:
        return f"{re.sub(r' --seeds [0-9]+', '', command)} --seeds {seeds}"

    more = with_seeds(plan, seeds)
    return replace(more, command=typed(plan.command), retry=typed(plan.retry), report=typed(plan.report))


def _ask(launched: Launched) -> None:
    """Ask the finished runs what their sweep says, those that have not been asked."""
    plan = launched.plan
    try:
        launched.asked = ask_finished(plan, launched.launched)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; the same command goes on with it: {again(plan.command)}") from None


def launch_options(
    plan: Plan,
    workers: int | None,
    trial_timeout: float | None,
    devices: Sequence[Gpu] | None,
    devices_per_run: int = 1,
    launcher: Launcher = LOCAL,
) -> LaunchOptions:
    """Return the options of a launch of the plan; the arguments are those of `launch_plan`.

    Raises:
        UserError: the plan has what cannot be trained here.
    """
    if devices is None:
        devices = () if launcher.elsewhere else gpus()
    check_together(plan, devices, devices_per_run)
    if not launcher.elsewhere:
        _check_here(plan, devices)
    admit((row.config for row in plan.sweep.staged.rows), (*plan.components, *plan.sweep.components))
    return LaunchOptions(
        workers=workers_of(workers, devices, None, devices_per_run) or usual_workers(plan, devices),
        devices=devices,
        devices_per_run=devices_per_run,
        launcher=launcher,
        components=plan.components,
        corpus_root=CORPORA,
        command=plan.command,
        trial_timeout=trial_timeout,
        rerun_stale=plan.rerun_stale,
        trackers=plan.trackers,
    )


def _check_here(plan: Plan, devices: Sequence[Gpu]) -> None:
    """Refuse what cannot be trained on the devices; say where a GPU is not used."""
    for row in () if devices else plan.sweep.staged.rows:
        if why := ONLY_ON_GPUS.get(precision := row.config.training.precision):
            where = f"got '{precision}', but runs train on the CPU here, {why}"
            raise UserError(f"training.precision: {where}; allowed: fp32, bf16, auto")
        if row.config.training.compile == "graph":
            where = "got 'graph', but runs train on the CPU here, which has no CUDA graphs"
            raise UserError(f"training.compile: {where}; allowed: auto, off")
    if line := trouble():
        plan.display.say(line)


def shortened_warmups(plan: Plan) -> list[str]:
    """Return a line for each number of steps for which the scale's warm-up was shortened."""
    scale: int = scale_layer(plan.sweep.scale).values["training"]["warmup_steps"]
    if WARMUP in plan.command:
        return []
    trainings = [row.config.training for row in plan.sweep.staged.rows if WARMUP not in row.sets]
    whole = [one for one in trainings if one.token_share == 1 and one.steps]
    steps = {one.steps for one in whole if one.steps <= scale and one.warmup_steps == shortened_warmup(one.steps)}
    return [
        f"warm-up: {shortened_warmup(one)} of {one} steps, as the {scale} of scale {plan.sweep.scale} leave none after "
        f"it; {WARMUP}=NUMBER sets another"
        for one in sorted(steps)
    ]


def shared_tokens(plan: Plan) -> list[str]:
    """Return a line for each share of the tokens that rows train on."""
    shared = {one for one in (row.config.training for row in plan.sweep.staged.rows) if one.token_share < 1}
    lines = {
        f"training.token_share={one.token_share}: {counted(one.steps, 'step')}, of them {one.warmup_steps} of warm-up, "
        f"and {counted(one.validations, 'validation')}"
        for one in shared
    }
    return sorted(lines)


def _prepared(plan: Plan, options: LaunchOptions) -> Plan:
    """Return the plan with the winners of its search, or with tuned rows, which are run first."""
    try:
        return tune(search(plan, options), options)
    except KeyboardInterrupt:
        what = "search" if plan.sweep.search else "tuning"
        goes_on = f"the same command goes on with the {what}: {again(plan.command)}"
        raise KeyboardInterrupt(f"interrupted; {goes_on}") from None


def _to_do(launched: Launched, to_do: int, options: LaunchOptions) -> str:
    """Return in words how many runs are to be trained, or that none is."""
    every = with_parents(launched.launched)
    runs = len(every)
    if to_do:
        return f"{to_do} of {counted(runs, 'run')} to train on {options.place}"
    finished = sum(launched.states[run.fingerprint] == "finished" for run in every)
    part = f"{finished} of " if finished < runs else "all " if finished > 1 else ""
    return f"{part}{counted_are(runs, 'run')} finished, nothing to train"


def _train(launched: Launched, options: LaunchOptions) -> None:
    """Launch what is missing, and then time the rows' steps in turns.

    The table is shown before the figures of its page are drawn, which takes seconds.
    """
    plan = launched.plan
    with ExitStack() as bars:
        display = bars.enter_context(plan.display.launch())

        def shown() -> LaunchSummary:
            if not options.launcher.elsewhere:
                time_rows(plan, launched.runs, options.devices)
            if plan.sweep.evaluations:  # which are asked next
                return LaunchSummary(f"`{again(plan.report)}` shows the table.")
            whole = launch_summary(plan, launched.table)

            def files() -> Mapping[str, str]:
                bars.close()
                launched.show()
                return whole.files()

            return whole._replace(files=files)

        launch(
            plan.sweep,
            launched.launched,
            records=plan.records,
            options=options,
            display=display,
            shown=shown,
        )
