"""Say what a planned table will be able to see: its looks, its detection limit, its power."""

from mta_lab.lab.plan import Plan
from mta_lab.lab.texts import known_runs
from mta_lab.report import build_table
from mta_lab.report.limits import planned_looks, size, takes
from mta_lab.stats.contrasts import EFFECT, POWER, Question
from mta_lab.stats.looks import levels
from mta_lab.stats.paired import sight
from mta_lab.words import counted


def evidence(plan: Plan) -> list[str]:
    """Return lines on what the verdicts of a plan's table can be, if it compares rows."""
    sweep = plan.sweep
    compared = sum(row.baseline != row.name for row in sweep.rows)
    seeds, looks = len(sweep.seeds), [len(seeds) for seeds in sweep.look_seeds]
    if not compared:
        return []
    if seeds < 2:
        return ["One seed tells no noise, so no row gets a verdict: a verdict takes two seeds or more."]
    said = [f"{planned_looks(looks)}."] if len(looks) > 1 else []
    if sweep.metric.is_share:
        return said
    table = build_table(sweep, {(run.row, run.seed): run.fingerprint for run in known_runs(plan) or []}, plan.records)
    if not table.comparison.noise:
        return [*said, "Detection limit: known once a row and its baseline are finished under two seeds."]
    noise = next(iter(table.comparison.noise.values()))
    reached = max((look for look in looks if look <= seeds), default=seeds)
    level = levels(looks)[looks.index(reached)] if reached in looks else levels(looks)[0]
    found = sight(noise, reached, Question(level=level / compared))
    return [
        *said,
        f"Detection limit: with {counted(reached, 'seed')} and the noise of the runs so far, {noise.deviation:.1%}, a "
        f"difference of {size(found.limit, sweep.metric)} is seen with {POWER:.0%} power. One of "
        f"{size(EFFECT, sweep.metric)} is seen with {found.power:.0%}; {POWER:.0%} {takes(found.seeds_needed)}.",
    ]
