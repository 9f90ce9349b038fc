"""Write what rows cost: beside their baselines, beside the paper's ratios, and in a note."""

from collections.abc import Callable

from mta_lab.report import numbers
from mta_lab.report.cost import EXACT, MATTERS, Ratio
from mta_lab.report.measured import Measured
from mta_lab.report.numbers import or_dash
from mta_lab.report.page import Column, OurColumn, PaperColumn, Section, section
from mta_lab.report.published import Published
from mta_lab.report.table import Table
from mta_lab.words import counted, duration, listed

COUNTED = "Cost as counted, and as a multiple of the baseline's (x)"
MEASURED = "Cost as measured, and as a multiple of the baseline's (x)"


def cost(table: Table) -> list[Section]:
    """Return what is counted of each row's cost, with the delta at equal operations.

    Then what is measured, in brackets where a ratio's interval does not tell a difference.
    """
    counted: list[Column] = [
        OurColumn("params", _with_ratio("parameters", lambda value: f"{value:,.0f}")),
        OurColumn("FLOPs/token", _with_ratio("flops_per_token", numbers.count)),
    ]
    measured: list[Column] = [OurColumn("step", _mean("step_seconds", _short))]
    if len(table.rows) > 1:
        counted.append(OurColumn("delta, equal FLOPs [95 %]", _equal_flops))
        measured.append(OurColumn("step, x [95 %]", _step_ratio))
    measured += [
        OurColumn("tokens/s", _mean("tokens_per_second", lambda value: f"{value:,.0f}")),
        OurColumn("time a run", _mean("training_seconds", duration)),
        OurColumn("peak memory", _with_ratio("peak_memory", numbers.size)),
    ]
    return [section(COUNTED, counted, table.rows), section(MEASURED, measured, table.rows)]


def _mean(name: str, form: Callable[[float], str]) -> Callable[[Measured], str]:
    return lambda row: or_dash(getattr(row.cost, name), form)


def _with_ratio(name: str, form: Callable[[float], str]) -> Callable[[Measured], str]:
    def cell(row: Measured) -> str:
        ratio, value = row.ratios.get(name), _mean(name, form)(row)
        if ratio is None or row.role == "baseline":
            return value
        times = f"{ratio.value:.2f}x"
        return f"{value} {times}" if name in EXACT or ratio.apart else f"{value} ({times})"

    return cell


def _step_ratio(row: Measured) -> str:
    return "-" if row.role == "baseline" else or_dash(row.ratios.get("step_seconds"), with_interval)


def with_interval(ratio: Ratio) -> str:
    """Return a measured ratio and its interval, in brackets where it tells no difference."""
    if ratio.low is None or ratio.high is None:
        return f"({ratio.value:.2f})"
    said = f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    return said if ratio.apart else f"({said})"


def _short(seconds: float) -> str:
    """Return the time of a step: `47.3 ms`."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else duration(seconds)


def _equal_flops(row: Measured) -> str:
    found, scale = row.equal_flops, row.metric.scale
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"({numbers.delta(found.delta, scale)})"
    delta, low, high = (numbers.delta(one, scale) for one in (found.delta, found.low, found.high))
    said = f"{delta} [{low}, {high}]"
    return said if found.low > 0 or found.high < 0 else f"({said})"


def cost_note(table: Table) -> list[str]:
    """Return how costs were compared."""
    if all(row.measured.equal_flops is None for row in table.rows):
        return []
    records = [record for row in table.rows for record in row.measured.records.values()]
    step = (
        "the median over a run's steps, on a CPU in processor seconds"
        if all(record.step_seconds for record in records if record.config["training"]["steps"])
        else "the mean over a run's steps by the wall clock, as runs of earlier versions have no median"
    )
    paired = "measured costs, but for steps timed in turns," if table.in_turns else "measured costs"
    several = " The runs come from several machines or versions." if len(table.provenance) > 1 else ""
    return [
        "delta, equal FLOPs: after as many counted operations as the cheaper of the two does in all. The costlier "
        "one's score is read from its validation curve, where its learning rate has not decayed, which puts it at a "
        "disadvantage. Its interval is by Student's t over the seeds.",
        f"step: {step}. Ratios of {paired} are paired by seed like deltas; one in brackets has an interval that "
        f"includes 1. tokens/s and the time of a run are by the wall clock and are not compared.{several}",
        *_turns_note(table),
    ]


def _turns_note(table: Table) -> list[str]:
    """Return how steps were timed in turns, of the rows that were."""
    if not (measured := list(table.in_turns.values())):
        return []
    others = sum(row.measured.role != "baseline" for row in table.rows)
    of = "" if len(measured) == others else f" of {len(measured)} of {counted(others, 'row')}"
    rounds = "-".join(map(str, sorted({min(one.rounds for one in measured), max(one.rounds for one in measured)})))
    where = listed([*dict.fromkeys(f"{one.machine}, commit {one.commit}" for one in measured)])
    return [
        f"step, x{of}: after the launch, a step of each row was timed in turns with the baseline's, so that other work "
        f"slows all alike: the median of the ratios of {rounds} rounds, and its 95 % interval by the sign test; in "
        f"brackets unless all of the interval is more than {MATTERS:.0%} from 1 ({where})."
    ]


PRINTED_COSTS = {"params": "parameters", "tokens/s": "tokens_per_second", "memory": "peak_memory"}


def printed_cost(table: Table) -> Section:
    """Return our ratios to the baseline, beside those from the paper's Tables 8 and 9."""
    columns: list[Column] = []
    for head, name in PRINTED_COSTS.items():
        columns += [OurColumn(head, _our_ratio(name)), PaperColumn(head, _their_ratio(name))]
    rows = [row for row in table.rows if row.published.ratios]
    return section("Cost over the baseline's, beside the paper's", columns, rows)


def _our_ratio(name: str) -> Callable[[Measured], str]:
    return lambda row: or_dash(row.ratios.get(name), lambda ratio: _digits(name, ratio.value))


def _their_ratio(name: str) -> Callable[[Published], str]:
    return lambda paper: or_dash(paper.ratios.get(name), lambda ratio: _digits(name, ratio))


def _digits(name: str, ratio: float) -> str:
    return f"{ratio:.{5 if name == 'parameters' else 3}f}x"  # the paper's variants add 0.003 % of parameters
