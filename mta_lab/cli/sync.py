"""`mta-lab sync`: enter into MLflow what it lacks of the records."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, conditions, row_and_settings
from mta_lab.cli.terminal import Terminal
from mta_lab.errors import UserError
from mta_lab.launch.guards import only_launch
from mta_lab.results.records import Records
from mta_lab.words import counted

if TYPE_CHECKING:
    from mta_lab.lab.conditions import Conditions
    from mta_lab.lab.plan import Plan
    from mta_lab.planning.runs import Run


def sync(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE|train|all",
            help="a sweep, `train`, or all shipped sweeps",
            autocompletion=completion.sweeps_or_all,
        ),
    ],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    components: Components = None,
) -> None:
    """Enter into MLflow what it lacks of a sweep.

    Enters finished and failed runs, and trains nothing.
    """
    display = Terminal()
    with only_launch(Records().directory):  # a launch does it by itself, and closes its runs itself
        for plan in _plans(name, conditions(settings, scale, seeds, components), display):
            try:
                runs = lab.syncing.runs_to_sync(plan)
            except UserError as error:
                if name != "all":
                    raise
                display.note(f"{plan.given} is left out: {error}")
                continue
            _sync(plan, runs, display)


def _plans(name: str, under: "Conditions", display: Terminal) -> "list[Plan]":
    if name == "train":
        return [lab.plans.plan_of_one(replace(under, seeds=None), display)]
    if name != "all":
        return [lab.plans.plan(name, under, display)]
    files = [word for word in under.settings if "=" not in word]
    return lab.plans.every_plan(files, replace(under, settings=row_and_settings(under.settings)[1]), display)


def _sync(plan: "Plan", runs: "list[Run]", display: Terminal) -> None:
    with display.console.status(f"{plan.sweep.name}: looking for what MLflow lacks"):
        done = lab.syncing.sync_plan(plan, runs)
    display.console.print(
        f"{plan.sweep.name}: {done.finished} finished and {counted(done.failed, 'failed run')} entered into MLflow, "
        f"{counted(done.closed, 'open run')} closed",
        soft_wrap=True,
    )
