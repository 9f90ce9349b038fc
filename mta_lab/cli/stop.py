"""`mta-lab stop`: stop one run of a launch that goes on, or a row."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName, conditions
from mta_lab.cli.terminal import Terminal


def stop(
    name: SweepName,
    row: Annotated[str, typer.Argument(help="a row of the sweep", autocompletion=completion.rows)],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    seed: Annotated[int | None, typer.Option(help="the run of this seed; default: every run of the row")] = None,
    components: Components = None,
) -> None:
    """Stop a run of the launch that runs here, or a row.

    The launch goes on with the rest.

    What is stopped is kept, and the next launch goes on with it.
    """
    display = Terminal()
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    for label in lab.requests.stop(plan, row, seed):
        display.console.print(f"{label}: the launch is asked to stop it", soft_wrap=True)
