"""Count the runs of a plan that are left, estimate their time, and fit seeds into a time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mta_lab.devices import own
from mta_lab.devices.known import device_of
from mta_lab.devices.visible import free_memory, gpus
from mta_lab.executors.local.pool import threads
from mta_lab.lab.display import Say
from mta_lab.lab.placing import usual_workers
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import trials_left
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import bracket_runs, tuning_left, widenings_left
from mta_lab.planning.by_arithmetic import on_device
from mta_lab.planning.estimates import Estimate, affordable_seeds, estimates, recorded, seconds_of
from mta_lab.planning.runs import in_state, states, to_train
from mta_lab.report import numbers
from mta_lab.sweep import Row
from mta_lab.training.sizes import GPU_SHARE, LITTLE, SHARE, micro_batch_of, step_memory
from mta_lab.words import counted, duration

CORES, GPU = (2, 16, 64), "h100"


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The runs and trials of a plan that are left, by row."""

    runs: Counter[str]
    """runs to train"""
    trials: Counter[str]
    """trials of its search to run, or runs that tune it"""
    failed: Counter[str]
    """runs that failed for good"""
    estimates: Mapping[str, Estimate]
    """estimates of the time of a run"""
    chains: Sequence[Sequence[str]]
    """for each row, those whose runs lead to its own, itself the last"""
    workers: int

    @property
    def total(self) -> str:
        """Return the time of all that is left, in words."""
        left = self.runs + self.trials
        rows = [row for row, runs in left.items() if runs]
        if not rows:
            return "nothing to train"
        seconds = seconds_of(left, self.estimates, self.workers, self.chains)
        if seconds is None:
            unknown = sum(self.estimates[row].seconds is None for row in rows)
            return f"unknown: {counted(unknown, 'row')} without a recorded run"
        return f"about {duration(seconds)} on {counted(self.workers, 'worker')}"


def costs_of(plan: Plan, workers: int | None, probe: Say | None) -> Costs:
    """Return what is left of a plan and its time on `workers`, by default those of a launch.

    Rows without a recorded run are measured for a few steps if `probe` is given; it is told of
    each.
    """
    runs, failed, trials = left_of(plan)
    workers = workers or usual_workers(plan)
    return Costs(
        runs=runs,
        trials=trials,
        failed=failed,
        estimates=_estimates(plan, workers, probe),
        chains=plan.sweep.chains,
        workers=workers,
    )


def left_of(plan: Plan) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return by row how many runs are to train, how many failed for good, and trials to run.

    Trials are those of its search, or the runs that tune it: what comes before the table.
    """
    return *_left_and_failed(plan), trials_left(plan) + tuning_left(plan)


def whole_table(plan: Plan, costs: Costs) -> str:
    """Return in words the time of a whole table, tuning included, on so many cores of this speed.

    Then that of its operations on a GPU. Empty where some row's time is unknown.
    """
    runs = Counter({row.name: len(plan.sweep.seeds) for row in plan.sweep.staged.rows}) + bracket_runs(plan.sweep)
    each = threads(costs.workers)
    took = {cores: seconds_of(runs, costs.estimates, cores / each, costs.chains) for cores in CORES}
    on = [f"{duration(seconds)} on {cores}" for cores, seconds in took.items() if seconds is not None]
    if not on:
        return ""
    gpu = device_of(GPU)
    least = sum(on_device(row.config, gpu).seconds * runs[row.name] for row in plan.sweep.staged.rows)
    return (
        f"The whole table, {counted(runs.total(), 'run')}: {', '.join(on)} cores like this; on an {GPU.upper()} at "
        f"least {duration(least)}, by arithmetic: --device {GPU} says how."
    )


def widening(plan: Plan, estimates: Mapping[str, Estimate]) -> str:
    """Return in words what widening the brackets of rows that are not tuned yet takes at most.

    Empty where none can be widened.
    """
    runs = +widenings_left(plan)
    if not runs:
        return ""
    seconds = seconds_of(runs, estimates, 1)
    took = f", {duration(seconds)} one after another" if seconds is not None else ""
    return f"Tuning widens a bracket while its best is at the edge: at most {counted(runs.total(), 'run')} more{took}."


def memory_of(plan: Plan) -> str:
    """Return in words the memory of a training step of the row that needs most, by arithmetic."""
    rows = plan.sweep.staged.rows
    steps = {row.name: step_memory(row.config, 1) for row in rows}
    row = max(rows, key=lambda row: steps[row.name].total)
    step, batch = steps[row.name], row.config.training.batch_size
    fixed = numbers.size(step.weights + step.gradients + step.optimizer)
    return (
        f"{fixed} for weights, gradients and optimizer, {numbers.size(step.logits)} for logits, and "
        f"{numbers.size(step.activations)} for each sequence of a micro-batch (of {batch} in the batch)"
        f"{_room(row)}"
    )


def _room(row: Row) -> str:
    """Return how much of a row's batch fits the memory that is free where runs train, in words.

    Nothing where that memory is not known.
    """
    found = gpus()
    free, share = (free_memory(found), GPU_SHARE) if found else (own.free_memory(), SHARE)
    if free is None:
        return ""
    sequences, room = (
        micro_batch_of(row.config, free, share),
        f"{share:.0%} of the {numbers.size(free)} that are free here",
    )
    total = step_memory(row.config, sequences).total
    if total > max(LITTLE, share * free):
        taken = f"reading {counted(sequences, 'sequence')} at a time takes {numbers.size(total)}"
        return f". It does not fit: {taken}, more than {room}"
    return f". {sequences} at a time fit into {room}"


def within(plan: Plan, seconds: float, workers: int | None, probe: Say) -> tuple[Plan, str]:
    """Return the plan with as many seeds of every row as fit into `seconds`, and words on it."""
    workers = workers or usual_workers(plan)
    found, trials = _estimates(plan, workers, probe), trials_left(plan) + tuning_left(plan)

    def left(seeds: int) -> Mapping[str, int]:
        return _left_and_failed(with_seeds(plan, seeds))[0] + trials

    seeds = affordable_seeds(found, left, budget=seconds, workers=workers, chains=plan.sweep.chains)
    seeds = min(seeds, plan.sweep.looks[-1]) if plan.sweep.looks else seeds
    seeds = min(seeds, len(plan.sweep.seeds)) if plan.sweep.names_seeds else seeds
    option = f" --seeds {seeds}"
    chosen = replace(with_seeds(plan, seeds), command=plan.command + option, retry=plan.retry + option)
    runs = Counter(_left_and_failed(chosen)[0])
    costs = Costs(
        runs=runs, trials=trials, failed=Counter(), estimates=found, chains=plan.sweep.chains, workers=workers
    )
    wider = widening(plan, found).rstrip(".")
    on_top = f"; not counted: {wider[0].lower()}{wider[1:]}" if wider else ""
    said = f"{counted(seeds, 'seed')} of every row, {costs.total}{_inside_a_look(plan, seeds)}{on_top}{_busy(found)}"
    return chosen, said


def _inside_a_look(plan: Plan, seeds: int) -> str:
    """Return a warning if so many seeds end between two looks, where the last ones do not count."""
    looks = plan.sweep.looks
    if not looks or seeds in looks:
        return ""
    number, following = next((number, look) for number, look in enumerate(looks, start=1) if look > seeds)
    before = f"verdicts stay those of {counted(looks[number - 2], 'seed')}" if number > 1 else "there is no verdict yet"
    return f"; that ends inside look {number}, which takes {following}: until then {before}"


def _busy(costs: Mapping[str, Estimate]) -> str:
    """Return a warning if times were measured on a busy machine, so that more seeds may fit."""
    rows = [row for row, cost in costs.items() if cost.contended]
    if not rows:
        return ""
    busy = f"{counted(len(rows), 'row')} measured on a busy machine, so more seeds may fit"
    return f"; {busy}; choose a number with --seeds N"


def with_seeds(plan: Plan, seeds: int) -> Plan:
    """Return the plan with so many seeds of each row, the first of those that its file names."""
    named = plan.sweep.seeds if plan.sweep.names_seeds else range(seeds)
    return replace(plan, sweep=replace(plan.sweep, seeds=tuple(named[:seeds])))


def _left_and_failed(plan: Plan) -> tuple[Counter[str], Counter[str]]:
    """Return how many runs of each row are to train, and how many have failed for good."""
    runs = known_runs(plan)
    if runs is None:
        return Counter(run.row for run in plan.sweep.staged.runs()), Counter()
    found = states(runs, plan.records)
    kinds = to_train(runs, found, rerun_stale=plan.rerun_stale), in_state(runs, found, "failed")
    left, failed = (Counter(run.row for run in kind) for kind in kinds)
    return left, failed


def _estimates(plan: Plan, workers: int, probe: Say | None) -> Mapping[str, Estimate]:
    history = plan.records.all_finished()
    if probe is None:
        return recorded(plan.sweep.staged.rows, history)
    components = (*plan.components, *plan.sweep.components)
    return estimates(plan.sweep.staged, history, threads(workers), probe, components)
