"""`mta-lab clean`: remove checkpoints, weights and stale runs, once their sizes were shown."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, conditions
from mta_lab.cli.terminal import Terminal


def clean(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]", help="a sweep; default: all that is kept here", autocompletion=completion.sweeps
        ),
    ] = None,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="those of unfinished runs")] = False,
    weights: Annotated[
        bool, typer.Option("--weights", help="those of finished runs, but none from which a stage starts")
    ] = False,
    stale: Annotated[bool, typer.Option("--stale", help="runs of other code, text or engine than today's")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="remove them; without it, only the sizes are shown")] = False,
    components: Components = None,
) -> None:
    """Remove checkpoints, weights and stale runs.

    Shows how much room they take, and removes what it is told to.

    Removes nothing while a launch runs here.
    """
    display = Terminal()
    records = lab.finished.records_here(components or [], display)
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display) if name else None
    asked = {"checkpoints": checkpoints, "weights": weights, "stale": stale}
    chosen = [kind for kind in lab.cleaning.LOST if asked[kind]]
    remove = yes and bool(chosen)
    lab.cleaning.clean(records, display, chosen or [*lab.cleaning.LOST], plan, remove=remove)
    remedy = "--yes removes it" if chosen else "say what, like --checkpoints --weights --stale, and --yes"
    display.console.print("removed" if remove else f"nothing is removed: {remedy}", soft_wrap=True)
