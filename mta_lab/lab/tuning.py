"""Tune the rows of a sweep, and read their curves from the records.

A sweep without `tune:` stays as it is.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from mta_lab.errors import UserError
from mta_lab.lab.plan import Plan
from mta_lab.lab.texts import known_runs, preparing
from mta_lab.launch.launch import LaunchOptions, launch
from mta_lab.planning.runs import Run, runs_of, states, to_train
from mta_lab.sweep import Sweep
from mta_lab.sweep.tune import Curve, Point, Tuning, at_best, at_value, is_possible, tried, tuning_sweep, values_of
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import counted, counted_are
from mta_lab.workspace import again


@dataclass(frozen=True)
class _Tried:
    """The runs that tune a plan, as far as they are known by now."""

    sweep: Sweep
    runs: Sequence[Run]
    """none where its text is not known, and so nothing is finished"""
    points: Mapping[str, tuple[Point, ...]]
    """the values that each row is tried at, with what is known of them"""


def open_tuned(plan: Plan) -> Plan:
    """Return the plan with each row at its best value, as far as the records tell."""
    tuning = plan.sweep.tuning
    if tuning is None:
        return plan
    points = _tried(plan, tuning).points
    curves = {row: replace(curve, points=points[row]) for row, curve in tuning.curves.items()}
    return replace(plan, sweep=at_best(plan.sweep, replace(tuning, curves=curves)))


def tune(plan: Plan, options: LaunchOptions) -> Plan:
    """Train what is missing of the tuning, widening included; return the plan with tuned rows.

    Raises:
        UserError: a run failed otherwise than by diverging, or is stale; or the best value of a row
            is still at the edge of its bracket, widened as often as allowed.
    """
    while tuning := plan.sweep.tuning:
        found = _tried(plan, tuning)
        runs = runs_of(found.sweep, preparing(plan.display))
        missing = _missing(plan, runs)
        if not missing:
            break
        said = f"{counted(len(missing), 'run')} to tune {tuning.tune.key} on {options.place}"
        plan.display.say(f"{plan.sweep.title}: {said}")
        with plan.display.launch() as display:
            launch(
                found.sweep,
                runs,
                records=plan.records,
                options=options,
                display=display,
                shown=lambda: LaunchSummary("The runs that choose each row's value."),
            )
        plan = open_tuned(plan)
        if _missing(plan, runs):
            break
    _refuse_unfinished(plan)
    return plan


def tuning_runs(plan: Plan) -> dict[str, list[Run]]:
    """Return the runs that tune each row, as far as the values to try are known by now."""
    tuning = plan.sweep.tuning
    if tuning is None:
        return {}
    found = _tried(plan, tuning)
    runs = _by_name(found.runs)
    return {
        row: [run for point in points for run in runs.get(tried(row, tuning.tune.key, point.value), ())]
        for row, points in found.points.items()
    }


def tuning_left(plan: Plan) -> Counter[str]:
    """Return how many runs each row's tuning lacks; a further widening comes on top.

    What rows with the same settings share counts for the first of them.
    """
    found = tuning_runs(plan)
    if not any(found.values()):
        return bracket_runs(plan.sweep)
    first = {run.fingerprint: row for row, runs in reversed(found.items()) for run in runs}
    missing = _missing(plan, [run for runs in found.values() for run in runs])
    return Counter(first[run.fingerprint] for run in missing)


def bracket_runs(sweep: Sweep) -> Counter[str]:
    """Return how many runs each row's bracket takes, not widened."""
    tuning, seen = sweep.tuning, set[object]()
    found = Counter[str]()
    for row in sweep.rows if tuning else ():
        assert tuning
        bracket = tuning.curves[row.name].bracket
        tries = {at_value(replace(row.config, stream=""), tuning.tune.key, value) for value in bracket}
        found[row.name] = len(tries - seen) * tuning.tune.seeds
        seen |= tries
    return found


def widenings_left(plan: Plan) -> Counter[str]:
    """Return how many runs the widening of each row's bracket can take beyond `tuning_left`."""
    tuning = plan.sweep.tuning
    if tuning is None:
        return Counter()
    own = bracket_runs(plan.sweep)  # none of a row that shares another's
    return Counter(
        {
            row: (tuning.widenings - max(len(curve.points) - len(curve.bracket), 0)) * tuning.tune.seeds
            for row, curve in tuning.curves.items()
            if curve.best is None and own[row]
        }
    )


def _missing(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    return to_train(runs, states(runs, plan.records), rerun_stale=plan.rerun_stale)


def tuned_lines(plan: Plan, row: str) -> list[str]:
    """Return a line on the tuning of a row; none where the sweep tunes nothing."""
    tuning = plan.sweep.tuning
    if tuning is None:
        return []
    curve, key = tuning.curves[row], tuning.tune.key
    metric = plan.sweep.validated_by
    known = [
        f"{point.value:g} ({'diverged' if point.score is None else metric.written(point.score)})"
        for point in curve.points
        if point.loss is not None
    ]
    if curve.best is None:
        left = counted(tuning_left(plan)[row], "run")
        return [f"{row}: {key} is not tuned yet, {left} left: {', '.join(known) or 'none finished'}"]
    return [f"{row}: {key} {curve.best:g}, the best of {', '.join(known)}"]


def _tried(plan: Plan, tuning: Tuning) -> _Tried:
    """Return the runs at the brackets, and at what widens them as far as the records tell."""
    values: Mapping[str, Sequence[float]] = {row: curve.bracket for row, curve in tuning.curves.items()}
    while True:
        sweep = tuning_sweep(plan.sweep, tuning, values)
        runs = known_runs(replace(plan, sweep=sweep)) or []
        named = _by_name(runs)
        points = {
            row: tuple(_point(value, named.get(tried(row, tuning.tune.key, value), ()), plan) for value in tries)
            for row, tries in values.items()
        }
        losses = {
            row: {point.value: point.loss for point in of_row if point.loss is not None}
            for row, of_row in points.items()
        }
        wider = {
            row.name: values_of(
                tuning.curves[row.name].bracket,
                losses[row.name],
                tuning.widenings,
                partial(is_possible, row.config, tuning.tune.key),
            )
            for row in plan.sweep.rows
        }
        if all(len(wider[row]) == len(values[row]) for row in values):
            return _Tried(sweep, runs, points)
        values = wider


def _by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs by the name of a row at a value."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.row, []).append(run)
    return found


def _point(value: float, runs: Sequence[Run], plan: Plan) -> Point:
    """Return what is known of a row at a value; where a run diverged, no value is worse."""
    records, fingerprints = plan.records, [run.fingerprint for run in runs]
    finished = [record for name in fingerprints if (record := records.usable(name))]
    seconds = sum(record.seconds for record in finished)
    point = Point(value=value, score=None, loss=None, seconds=seconds, runs=tuple(fingerprints))
    failures = [records.failed(name) for name in fingerprints]
    if any(failure and failure.kind == "diverged" for failure in failures):
        return replace(point, loss=math.inf)
    if not fingerprints or len(finished) < len(fingerprints):
        return point
    score = fmean(record.score for record in finished)
    return replace(point, score=score, loss=plan.sweep.validated_by.loss(score))


def _refuse_unfinished(plan: Plan) -> None:
    tuning = plan.sweep.tuning
    if tuning is None:
        return
    if untuned := tuning.untuned:
        found_runs = tuning_runs(plan)
        runs = [run for row in untuned for run in found_runs[row]]
        found = states(runs, plan.records)
        for state, says in (("failed", again(plan.retry)), ("stale", f"{again(plan.command)} --rerun-stale")):
            if count := len({run.fingerprint for run in runs if found[run.fingerprint] == state}):
                said = f"{counted_are(count, 'run')} {state} of the {tuning.tune.key} of {', '.join(untuned)}"
                raise UserError(f"{plan.given}: tune: {said}; type: {says}")
    for row, curve in tuning.curves.items():
        if tuning.widenings and curve.at_the_edge:
            raise UserError(f"{plan.given}: tune: {_stuck(row, curve, tuning)}")


def _stuck(row: str, curve: Curve, tuning: Tuning) -> str:
    key, tried_at = tuning.tune.key, f"{curve.points[0].value:g} to {curve.points[-1].value:g}"
    widened = counted(len(curve.points) - len(curve.bracket), "widening")
    return (
        f"row '{row}' is best at {key} {curve.best:g}, still at the edge of {tried_at} after {widened}; "
        f"give a bracket around its best: tune: {{{key}: [...]}}"
    )
