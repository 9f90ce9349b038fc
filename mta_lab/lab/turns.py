"""Time the rows of a finished sweep in turns, so that their costs can be told apart."""

from collections.abc import Mapping, Sequence

from mta_lab.bench import rows
from mta_lab.bench.process import Laboratory
from mta_lab.devices import own
from mta_lab.devices.visible import VISIBLE, Gpu
from mta_lab.errors import UserError, described
from mta_lab.executors.local.worker import ENVIRONMENT
from mta_lab.lab.plan import Plan
from mta_lab.planning.runs import Run
from mta_lab.provenance import versions
from mta_lab.results.step_times import StepTime, keep_step_times, step_times
from mta_lab.words import counted, duration

SHARE = 0.2  # of the seconds that the sweep's runs trained, which the measurement may take
LEAST, MOST = 10.0, 300.0  # seconds: with fewer to spend nothing is measured, and no more are spent


def time_rows(plan: Plan, runs: Sequence[Run], devices: Sequence[Gpu] = ()) -> None:
    """Measure and keep what a step of each row takes over one of its baseline.

    Nothing is measured while a run of the sweep is missing, or where runs train for moments. A row
    is measured again where it, its baseline, the code or the machine is another. Whatever goes
    wrong is said, and costs nothing but the measurement: all runs are finished and kept.
    """
    records = [plan.records.usable(run.fingerprint) for run in runs]
    seconds = min(MOST, SHARE * sum(record.training_seconds or 0.0 for record in records if record))
    if seconds < LEAST or not all(records):
        return
    try:
        first = {run.row: run for run in runs if run.seed == plan.sweep.seeds[0]}
        place = _place()
        if baselines := _missing(plan, first, place):
            what = f"a step of {counted(len(baselines), 'row')} beside the baseline's"
            plan.display.say(f"timing {what}, in turns, for {duration(seconds)} at most; Ctrl-C leaves it out")
            keep_step_times(plan.records.directory, _measured(plan, first, baselines, seconds, devices, place))
    except KeyboardInterrupt:
        plan.display.note("interrupted: steps were not timed in turns; the next launch that trains does it")
    except UserError as error:
        plan.display.note(f"steps were not timed in turns: {error}")
    except Exception as error:  # of a component, a library or the system
        plan.display.note(f"steps were not timed in turns: {described(error)}")


def _place() -> dict[str, str]:
    """Return the machine and the code that compute a step here."""
    found = versions()
    code = f"{found['sources']}, torch {found['torch']}"
    return {"machine": own.trains_on(), "code": code, "commit": found["commit"]}


def _missing(plan: Plan, first: Mapping[str, Run], place: Mapping[str, str]) -> dict[str, str]:
    """Return the rows, each with its baseline, whose steps were not timed here yet."""
    kept = step_times(plan.records.directory)

    def is_kept(row: str, baseline: str) -> bool:
        found = kept.get((first[row].fingerprint, first[baseline].fingerprint))
        return found is not None and (found.machine, found.code) == (place["machine"], place["code"])

    return {
        row.name: row.baseline
        for row in plan.sweep.rows
        if row.name != row.baseline and not is_kept(row.name, row.baseline)
        if first[row.name].config.training.steps and first[row.baseline].config.training.steps
    }


def _measured(
    plan: Plan,
    first: Mapping[str, Run],
    baselines: Mapping[str, str],
    seconds: float,
    devices: Sequence[Gpu],
    place: Mapping[str, str],
) -> list[StepTime]:
    """Return what the rows take, measured in a process of its own, on the first of the devices."""
    variables = {VISIBLE: devices[0].key} if devices else {}
    laboratory = Laboratory(ENVIRONMENT, [*plan.components, *plan.sweep.components], variables)
    configs = {row: first[row].config for row in dict.fromkeys([*baselines.values(), *baselines])}
    found = laboratory.call(rows.time_rows, configs, baselines, seconds)
    return [
        StepTime(
            row=first[row].fingerprint,
            baseline=first[baselines[row]].fingerprint,
            value=ratio.value,
            low=ratio.low,
            high=ratio.high,
            rounds=found.rounds,
            machine=place["machine"],
            code=place["code"],
            commit=place["commit"],
        )
        for row, ratio in found.ratios.items()
    ]
