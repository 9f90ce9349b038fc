"""`mta-lab simulate`: how often a table's verdicts are wrong, and how often they see an effect."""

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName, conditions
from mta_lab.cli.terminal import Terminal
from mta_lab.words import counted, listed

if TYPE_CHECKING:
    from mta_lab.lab.simulations import Simulation


def simulate(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    draws: Annotated[int, typer.Option(min=100, help="how many tables are drawn for each kind of noise")] = 5000,
    effect: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="the effect that is to be seen; default: 2%")
    ] = None,
    components: Components = None,
) -> None:
    """Simulate a table: how often its verdicts are wrong.

    Draws tables with the noise of its finished runs, and with noise that breaks its assumptions.
    """
    display, size = Terminal(), lab.tables.effect_of(effect)
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    table = lab.tables.finished_table(plan, size)
    with display.console.status(f"drawing {draws:,} tables for each kind of noise"):
        found = lab.simulations.simulations(table, size, draws, plan.command)
    looks = [str(len(of)) for of in table.sweep.look_seeds]
    for one in found:
        _print(one, f"{table.sweep.heading}: {counted(one.rows, 'row')} against {one.baseline}", size, display.console)
    display.console.print(
        f"Looks at {listed(looks)} seeds; {draws:,} tables each, so that a share of 5% is known to "
        f"{math.sqrt(0.05 * 0.95 / draws):.1%} (standard error). False alarms: tables without any effect in which a "
        f"row is called better or worse. Seen: one row with an effect of {size:.1%}, the others without; in brackets "
        "by a paired t-test for each row alone."
    )


def _print(found: "Simulation", title: str, effect: float, console: Console) -> None:
    shown = RichTable(title=title)
    shown.add_column("noise of one run", overflow="fold")
    for name in ("false alarms", "intervals that hold", f"{effect:.1%} seen"):
        shown.add_column(name, justify="right")
    for scenario, rates in found.found:
        seen = f"{rates.power:.0%} ({rates.row_by_row:.0%})"
        shown.add_row(scenario, f"{rates.false_alarms:.1%}", f"{rates.coverage:.1%}", seen)
    console.print(shown)
