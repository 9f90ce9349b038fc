"""The grammar of the commands on a sweep: arguments, options, their help, and what is called."""

from dataclasses import replace
from typing import Annotated

import typer

from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName, TrialTimeout, Workers
from mta_lab.errors import UserError


def sweep(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="train as many seeds of every row as fit into this time, like 45m or 1h30m"),
    ] = None,
    check_lr: Annotated[
        bool,
        typer.Option(
            "--check-lr", help="train the baseline and the best rows at half and twice the learning rate, too"
        ),
    ] = False,
    trial_timeout: TrialTimeout = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan and train nothing")] = False,
    rerun_stale: Annotated[
        bool,
        typer.Option(
            "--rerun-stale", help="train stale runs again: those whose only results are of other code, text or engine"
        ),
    ] = False,
    components: Components = None,
) -> None:
    """Train what is missing of a sweep and print its table."""
    from mta_lab.cli import launching, plans, sweeping

    seconds = _seconds(trial_timeout)
    plan = sweeping.plan(name, settings or [], scale, seeds, components or [])
    if rerun_stale:
        plan = replace(plan, rerun_stale=True, command=f"{plan.command} --rerun-stale")
    if budget is not None:
        if seeds is not None:
            raise UserError("--budget: sets the number of seeds, and so does --seeds; give one of them")
        plan = plans.within(plan, budget, workers)
    if dry_run and check_lr:
        raise UserError("--check-lr: trains, and --dry-run trains nothing; give one of them")
    if dry_run:
        plans.show_plan(plan, workers, probe=False)
    elif check_lr:
        raise typer.Exit(plans.check_learning_rates(plan, workers, components or [], seconds))
    else:
        raise typer.Exit(launching.run(plan, workers, components or [], seconds))


def _seconds(trial_timeout: str | None) -> float | None:
    from mta_lab.planning.estimates import parse_duration

    return None if trial_timeout is None else parse_duration(trial_timeout, "--trial-timeout")


def retry(
    name: SweepName,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROW] [KEY=VALUE]...",
            help="the row to try again, default: all of them; and settings, as in sweep",
            autocompletion=completion.rows,
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    trial_timeout: TrialTimeout = None,
    components: Components = None,
) -> None:
    """Try the failed runs of a sweep again. Then go on as `sweep` does, which leaves failed runs alone."""
    from mta_lab.cli import retrying

    seconds = _seconds(trial_timeout)
    raise typer.Exit(retrying.run(name, words or [], scale, seeds, workers, components or [], seconds))


def plan(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    components: Components = None,
) -> None:
    """Show a sweep's rows, their differences and their cost. Times a few steps of a row without a recorded run."""
    from mta_lab.cli import plans, sweeping

    found = sweeping.plan(name, settings or [], scale, seeds, components or [])
    plans.show_plan(found, workers, probe=True)


def report(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE|all",
            help="a sweep, or all of them in an index",
            autocompletion=completion.sweeps_or_all,
        ),
    ],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="printed: rich, markdown, latex, csv, json; written to files: html, pdf, png, svg",
            autocompletion=completion.formats,
        ),
    ] = "rich",
    html: Annotated[bool, typer.Option("--html", help="short for --format html: a page in results/pages")] = False,
    components: Components = None,
) -> None:
    """Print a sweep's table, or write it as a page or figures. Shows what is finished and trains nothing."""
    from mta_lab.cli import reports

    if html and form not in ("rich", "html"):
        raise UserError(f"--html: means --format html, but --format {form} is given, too; give one of them")
    reports.show(name, settings or [], scale, seeds, components or [], "html" if html else form)


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]", help="a sweep; default: the launch that runs here", autocompletion=completion.sweeps
        ),
    ] = None,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    watch: Annotated[bool, typer.Option("--watch", help="show it again and again until the launch ends")] = False,
    components: Components = None,
) -> None:
    """Show what a launch here does and how far a sweep is. For another terminal, while a sweep is trained."""
    from mta_lab.cli import status

    status.show(name, settings or [], scale, seeds, components or [], watch=watch)


def why(
    name: SweepName,
    row: Annotated[str, typer.Argument(help="a row of the sweep", autocompletion=completion.rows)],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    seed: Annotated[int | None, typer.Option(help="explain this seed only")] = None,
    components: Components = None,
) -> None:
    """Explain what became of each run of a row. Finished, failed, stale, pending or running, and what to type next."""
    from mta_lab.cli import why

    why.explain(name, row, settings or [], scale, seeds, seed, components or [])


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
    """Enter into MLflow what it lacks of a sweep. Enters finished and failed runs and trains nothing."""
    from mta_lab.cli import syncing

    syncing.run(name, settings or [], scale, seeds, components or [])
