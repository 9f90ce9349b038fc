"""The grammar of `mta-lab`: commands, arguments and their help. Each command is a call into another file."""

from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli import completion, pictures
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName, TrialTimeout, Workers
from mta_lab.errors import UserError

app = typer.Typer(
    help="Ablation sweeps of attention variants: Multi-Token Attention (arXiv 2504.00927), row by row.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="The text that models are trained on.", no_args_is_help=True)
app.add_typer(data_app, name="data")
results_app = typer.Typer(help="Results that were measured here, or elsewhere.", no_args_is_help=True)
app.add_typer(results_app, name="results")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"mta-lab {metadata.version('mta-lab')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


@app.command()
def sweep(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="as many seeds of every row as fit this time, like 45m or 1h30m")
    ] = None,
    check_lr: Annotated[
        bool,
        typer.Option("--check-lr", help="the baseline and the best rows at half and twice the learning rate"),
    ] = False,
    trial_timeout: TrialTimeout = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan and train nothing")] = False,
    rerun_stale: Annotated[
        bool,
        typer.Option("--rerun-stale", help="train cells again whose only results are of other code, text or engine"),
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
            raise UserError("--budget: chooses the number of seeds, and so does --seeds; give one of them")
        plan = plans.within(plan, budget, workers)
    if dry_run and check_lr:
        raise UserError("--check-lr: trains; --dry-run starts nothing; give one of them")
    if dry_run:
        plans.show_plan(plan, workers, probe=False)
    elif check_lr:
        raise typer.Exit(plans.check_learning_rates(plan, workers, components or [], seconds))
    else:
        raise typer.Exit(launching.run(plan, workers, components or [], seconds))


def _seconds(trial_timeout: str | None) -> float | None:
    from mta_lab.planning import parse_duration

    return None if trial_timeout is None else parse_duration(trial_timeout, "--trial-timeout")


@app.command()
def retry(
    name: SweepName,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROW] [KEY=VALUE]...",
            help="the row to try again, default all; settings, as in sweep",
            autocompletion=completion.rows,
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    trial_timeout: TrialTimeout = None,
    components: Components = None,
) -> None:
    """Try the failed cells of a sweep again, and go on as `sweep` does, which leaves them alone."""
    from mta_lab.cli import retrying

    seconds = _seconds(trial_timeout)
    raise typer.Exit(retrying.run(name, words or [], scale, seeds, workers, components or [], seconds))


@app.command()
def plan(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    components: Components = None,
) -> None:
    """Show a sweep's rows, how they differ, and what each costs; times a few steps where nothing is recorded."""
    from mta_lab.cli import plans, sweeping

    found = sweeping.plan(name, settings or [], scale, seeds, components or [])
    plans.show_plan(found, workers, probe=True)


@app.command()
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
            help="rich, markdown, latex, csv, json (printed); html, pdf, png, svg (files)",
            autocompletion=completion.formats,
        ),
    ] = "rich",
    html: Annotated[bool, typer.Option("--html", help="short for --format html: a page in results/pages")] = False,
    components: Components = None,
) -> None:
    """Print the table of a sweep from what is finished, or write it as a page or as figures; trains nothing."""
    from mta_lab.cli import reports

    if html and form not in ("rich", "html"):
        raise UserError(f"--html: is short for --format html; --format {form} says another; give one of them")
    reports.show(name, settings or [], scale, seeds, components or [], "html" if html else form)


@app.command()
def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]", help="a sweep; default: what runs here", autocompletion=completion.sweeps
        ),
    ] = None,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    watch: Annotated[bool, typer.Option("--watch", help="go on until the launch ends")] = False,
    components: Components = None,
) -> None:
    """Show what a launch in this directory does, and how far a sweep is; for another terminal."""
    from mta_lab.cli import status

    status.show(name, settings or [], scale, seeds, components or [], watch=watch)


@app.command()
def why(
    name: SweepName,
    row: Annotated[str, typer.Argument(help="a row of the sweep", autocompletion=completion.rows)],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    seed: Annotated[int | None, typer.Option(help="this seed only")] = None,
    components: Components = None,
) -> None:
    """Explain each cell of a row: finished, failed, stale, pending or running, and what to type next."""
    from mta_lab.cli import why

    why.explain(name, row, settings or [], scale, seeds, seed, components or [])


@app.command()
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
    """Enter into MLflow what it lacks of a sweep's finished and failed cells; trains nothing."""
    from mta_lab.cli import syncing

    syncing.run(name, settings or [], scale, seeds, components or [])


@app.command()
def train(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Train one model and print its perplexities: `mta-lab train attention=multi_token`."""
    from mta_lab.cli import single

    single.train_one(settings or [], scale, components or [])


@app.command()
def params(
    model: Annotated[str, typer.Option(help="transformer, differential, talking_heads, mta, or any attention variant")],
    scale: Scale = DEFAULT_SCALE,
    settings: Settings = None,
    components: Components = None,
) -> None:
    """Print how many parameters a model has, without building it in memory."""
    from mta_lab.cli import single

    print(single.parameters(model, scale, settings or [], components or []))


@app.command("components")
def list_components(components: Components = None) -> None:
    """List the registered components and their settings."""
    from mta_lab.cli import registry

    registry.show(components or [])


@app.command()
def new(
    family: Annotated[str, typer.Argument(help="what to write: attention")],
    name: Annotated[str, typer.Argument(help="its name in the registry, like key_shift")],
) -> None:
    """Write the commented skeleton of a component, which trains as it stands."""
    from mta_lab.cli import registry

    registry.write_skeleton(family, name)


@app.command()
def bench(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[op|step|engine] [KEY=VALUE]...",
            help="op: the attention core alone; step: a whole training step (default), under settings (attention.KEY "
            "where a variant has it; attention=NAME: this one only); engine: plans, launches, answers, finished cells",
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="op: batch,heads,tokens,head width, like 8,8,256,32; repeatable")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="rounds; default: what fits a few seconds, 3 to 25")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write all of it to FILE")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="op: draw cost against tokens and kernel size (SVG)")
    ] = None,
    allocator: Annotated[
        str | None,
        typer.Option(
            metavar="[plain|workers]",
            help="op, step: memory as in any process, or under the settings of a sweep's workers, from which eager "
            "gains most; default: op plain, step workers",
        ),
    ] = None,
) -> None:
    """Measure what attention costs on this machine's CPU, side by side, as ratios."""
    from mta_lab.cli.bench import run

    run(
        words or [],
        scale=scale,
        components=components or [],
        shapes=shape or [],
        rounds=rounds,
        json_file=json_file,
        plot=plot,
        allocator=allocator,
    )


app.command()(pictures.kernels)
app.command()(pictures.attend)


@app.command("build-kernel")
def build_kernel() -> None:
    """Compile the fused kernels for this machine's CPU; `make setup` does this."""
    from mta_lab.cli import single

    single.build_kernel()


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="port to listen on")] = 5000,
    host: Annotated[str, typer.Option(help="address to listen on; others than this machine's own are warned of")] = (
        "127.0.0.1"
    ),
) -> None:
    """Open MLflow's pages over the runs, for this machine only."""
    from mta_lab.cli import single

    single.dashboard(port, host)


@data_app.command("prepare")
def data_prepare(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Fetch the text, if needed, and make the token files; `sweep` does this by itself."""
    from mta_lab.cli import single

    single.prepare_data(settings or [], scale, components or [])


@data_app.command("show")
def data_show(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Show the domains, what they are made of, and under which rights."""
    from mta_lab.cli import single

    single.show_data(settings or [], scale, components or [])


@results_app.command("list")
def results_list(components: Components = None) -> None:
    """List what is finished here: by scale, text and engine, by sweep, and the room that it takes."""
    from mta_lab.cli import results

    results.show(components or [])


@results_app.command("merge")
def results_merge(
    other: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="another results directory")],
    replace: Annotated[
        bool, typer.Option("--replace", help="where both have a run with other content, take the other's")
    ] = False,
    failures: Annotated[bool, typer.Option("--failures", help="take failed runs, too")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="take the models, too")] = False,
) -> None:
    """Take the finished runs of another directory into results; runs that differ are listed and kept as they are."""
    from mta_lab.cli import results

    results.merge(other, replace=replace, failures=failures, weights=weights)


@results_app.command("archive")
def results_archive(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    components: Components = None,
    weights: Annotated[bool, typer.Option("--weights", help="with the models")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="default: NAME-SCALE.tar.gz, here")] = None,
) -> None:
    """Pack a sweep's finished runs, its page and table, and what a report elsewhere needs, as a tar.gz."""
    from mta_lab.cli import results

    results.archive(name, settings or [], scale, seeds, components or [], weights=weights, output=output)
