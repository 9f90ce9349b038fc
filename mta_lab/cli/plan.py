"""`mta-lab plan`: the rows of a sweep, how they differ, and what they will cost."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Components,
    Device,
    DevicesPerRun,
    Scale,
    Seeds,
    Settings,
    SweepName,
    Workers,
    conditions,
)
from mta_lab.cli.terminal import Terminal
from mta_lab.errors import UserError
from mta_lab.words import counted, duration, named

if TYPE_CHECKING:
    from mta_lab.lab.costs import Costs
    from mta_lab.lab.plan import Plan

NARROW = 100  # characters; a terminal of fewer shows no operations, so that differences need not break inside words


def plan(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    device: Device = None,
    devices_per_run: DevicesPerRun = 1,
    components: Components = None,
) -> None:
    """Show a sweep's rows, their differences and their cost.

    Times a few steps of a row without a recorded run; with --device, times nothing.
    """
    if device is not None and workers is not None:
        raise UserError("--workers: is of this machine, and --device describes another; give one of them")
    if devices_per_run > 1 and device is None:
        raise UserError("--devices-per-run: a plan takes it beside --device alone, which describes the devices")
    described = lab.on_device.device_of(device) if device is not None else None
    display = Terminal()
    found = lab.plans.plan(name, conditions(settings, scale, seeds, components), display, described)
    if described:
        costs = lab.on_device.costs_on(found, described, devices_per_run)
        print_plan(found, costs, display.console, lab.on_device.explained(found, described, costs, devices_per_run))
        return
    with probing(display.console) as probe:
        costs = lab.costs.costs_of(found, workers, probe)
    print_plan(found, costs, display.console)


@contextmanager
def probing(console: Console) -> Iterator[Callable[[str], None]]:
    """Show which row is timed, as long as the context is open."""
    with console.status("timing a few steps of each row") as status:
        yield lambda line: status.update(console.render_str(line))


def print_plan(plan: "Plan", costs: "Costs", console: Console, explained: Sequence[str] = ()) -> None:
    """Print the rows, how they differ from their baseline, their cost and what is left.

    The lines of `explained` stand in place of those on this machine.
    """
    sweep = plan.sweep.staged
    left = f"{costs.runs.total()} of {counted(len(sweep.runs()), 'run')} to train"
    before = "trial" if sweep.search else "tuning run"
    table = RichTable(title=f"{sweep.heading}: {left}")
    narrow = console.width < NARROW
    numbers = ("parameters", "time") if narrow else ("parameters", "operations", "time")
    for name, most in (("row", max(12, console.width - 68)), ("to train", 9), ("differs from its baseline", None)):
        table.add_column(name, overflow="fold", max_width=most if narrow else None)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in sweep.rows:
        against = [f"against {row.baseline}"] if row.baseline not in (row.name, sweep.baseline) else []
        estimate, described = costs.estimates[row.name], lab.rows.described(row)
        shown = {
            "parameters": f"{described.parameters:,}",
            "operations": f"{described.operations:.1e}",
            "time": "unknown" if estimate.seconds is None else duration(estimate.seconds),
        }
        parent = [f"goes on from {start}"] if (start := sweep.parent_of(row)) else []
        differs = "\n".join([*parent, *against, *described.differences]) or "-"
        table.add_row(row.name, _to_train(costs, row.name, before), differs, *(shown[name] for name in numbers))
    console.print(table)
    if narrow:
        console.print(f"A terminal of {NARROW} characters or more also shows the operations of each row.")
    for line in (*sweep.left_out_notes, *sweep.checkpoint_notes):
        console.print(line, markup=False, highlight=False)
    console.print(f"Scale {sweep.scale}: {lab.rows.sizes_of(sweep)}.")
    for line in lab.evidence.evidence(plan):
        console.print(line)
    asked, times = lab.to_ask.asked_in_words(plan), explained or _here(plan, costs)
    for line in (*asked, *times, lab.costs.widening(plan, costs.estimates)):
        if line:
            console.print(line, markup=False)


def _here(plan: "Plan", costs: "Costs") -> list[str]:
    """Return where the times come from, and what a step and all that is left take here."""
    return [
        f"{_origins(costs)}Operations: about 6 a parameter and token.",
        f"Memory of a step: {lab.costs.memory_of(plan)}.",
        f"In all: {costs.total}.",
        *filter(None, [lab.passes.in_words(plan), lab.costs.whole_table(plan, costs)]),
    ]


def _origins(costs: "Costs") -> str:
    """Return a sentence on where the rows' times come from, empty where none is known."""
    rows: dict[str, list[str]] = {}
    for row, estimate in costs.estimates.items():
        if estimate.seconds:
            rows.setdefault(estimate.origin, []).append(row)
    several = len(rows) > 1
    parts = [f"{origin} for {named(names)}" if several else origin for origin, names in rows.items()]
    return f"Time of a run: {'; '.join(parts)}. " if parts else ""


def _to_train(costs: "Costs", row: str, before: str) -> str:
    """Return what is left of a row; `before` is the word for a run that precedes the table."""
    some = [counted(count, what) for count, what in ((costs.trials[row], before), (costs.runs[row], "run")) if count]
    failed_for_good = costs.failed[row]
    return ", ".join([*some, *([f"{failed_for_good} failed"] if failed_for_good else [])]) or "finished"
