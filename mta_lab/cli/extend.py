"""`mta-lab extend`: more seeds of every row for a launch that runs."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings, SweepName, conditions
from mta_lab.cli.terminal import Terminal
from mta_lab.words import counted


def extend(
    name: SweepName,
    seeds: Annotated[int, typer.Option(min=1, help="how many seeds of each row in all")],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
) -> None:
    """Ask the launch that runs here for more seeds of every row.

    It goes on with them once it has trained what it began with, and shows the table of all.
    """
    display = Terminal()
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    lab.requests.extend(plan)
    display.console.print(f"{plan.sweep.title}: the launch is asked for {counted(seeds, 'seed')} of every row")
