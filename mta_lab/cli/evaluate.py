"""`mta-lab evaluate`: score the finished runs of a sweep by further evaluations."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Components,
    RowAndSettings,
    Scale,
    Seeds,
    SweepName,
    row_under,
)
from mta_lab.cli.terminal import Terminal
from mta_lab.words import counted


def evaluate(
    name: SweepName,
    words: RowAndSettings = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="EVALUATION",
            help="an evaluation: needles, or '{name: needles, counts: [2, 4]}' with settings, or lm_eval:boolq,piqa; "
            "repeatable; without it, those of the sweep's evaluate",
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    components: Components = None,
) -> None:
    """Score finished runs by further evaluations.

    Scores all runs of a sweep, or of one row. Trains nothing: it reads the weights of finished
    runs. Each result is computed once, and stands in the run's record, in reports and in MLflow.
    Interrupted, the same command goes on.
    """
    display, (row, under) = Terminal(), row_under(words, scale, seeds, components)
    plan = lab.plans.plan(name, under, display)
    row_name = plan.sweep.row(row).name if row else None
    evaluations = lab.evaluations.evaluations_of(on or [], plan.sweep.evaluations)
    done = lab.evaluations.evaluate_plan(plan, row_name, evaluations)
    there = f", {done.there} were there" if done.there else ""
    left = f", {counted(done.left_out, 'run')} left out" if done.left_out else ""
    shown = f"; `{lab.evaluations.shown_by(plan)}` shows them" if done.new or done.there else ""
    display.console.print(f"{plan.sweep.name}: {counted(done.new, 'result')} new{there}{left}{shown}", soft_wrap=True)
    raise typer.Exit(bool(done.left_out))
