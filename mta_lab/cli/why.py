"""`mta-lab why`: what became of each run of a row, and what to type next."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName, conditions
from mta_lab.cli.terminal import Terminal


def why(
    name: SweepName,
    row: Annotated[str, typer.Argument(help="a row of the sweep", autocompletion=completion.rows)],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    seed: Annotated[int | None, typer.Option(help="explain this seed only")] = None,
    components: Components = None,
) -> None:
    """Explain what became of each run of a row.

    A run is finished, failed, stale, pending or running; says what to type next.
    """
    display = Terminal()
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    for line in lab.why.explain(plan, row, seed):
        display.console.print(line, soft_wrap=True)
