"""The commands of `mta-lab`, in the order of `--help`; each is the file of its name."""

import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli import (
    attend,
    bench,
    build_kernel,
    clean,
    components,
    dashboard,
    data,
    diff,
    doctor,
    evaluate,
    export,
    extend,
    generate,
    gpu_check,
    join,
    kernels,
    new,
    note,
    params,
    plan,
    report,
    results,
    retrofit,
    retry,
    settings,
    simulate,
    status,
    stop,
    sweep,
    sync,
    train,
    why,
)
from mta_lab.cli.output import OutputLostError, guarded_output
from mta_lab.cli.printable import one_line
from mta_lab.errors import UserError
from mta_lab.workspace import HOME, enter, note_typed

COMMANDS: Mapping[str, Callable[..., None]] = {
    "sweep": sweep.sweep,
    "retry": retry.retry,
    "plan": plan.plan,
    "report": report.report,
    "diff": diff.diff,
    "evaluate": evaluate.evaluate,
    "export": export.export,
    "retrofit": retrofit.retrofit,
    "simulate": simulate.simulate,
    "status": status.status,
    "stop": stop.stop,
    "extend": extend.extend,
    "why": why.why,
    "note": note.note,
    "sync": sync.sync,
    "clean": clean.clean,
    "train": train.train,
    "params": params.params,
    "components": components.components,
    "settings": settings.settings,
    "new": new.new,
    "doctor": doctor.doctor,
    "join": join.join,
    "bench": bench.bench,
    "gpu-check": gpu_check.gpu_check,
    "kernels": kernels.kernels,
    "attend": attend.attend,
    "generate": generate.generate,
    "build-kernel": build_kernel.build_kernel,
    "dashboard": dashboard.dashboard,
}

app = typer.Typer(
    help="Ablation sweeps of attention variants: Multi-Token Attention (arXiv 2504.00927), row by row.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(results.app, name="results")
for name, command in COMMANDS.items():
    app.command(name)(command)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"mta-lab {metadata.version('mta-lab')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            envvar=HOME,
            metavar="DIRECTORY",
            help="where results, text and MLflow's database are, as if started there; default: the current folder",
        ),
    ] = None,
) -> None:
    """Take the options that stand before any command."""
    source = context.get_parameter_source("directory")
    note_typed(directory if source and source.name == "COMMANDLINE" else None)
    if directory is not None:
        enter(directory)


def run() -> None:
    """Run the command that was typed; a user's mistake is one line on stderr and exit status 2."""
    with guarded_output():
        try:
            app(prog_name="mta-lab")
        except OutputLostError:
            raise
        except UserError as error:
            print(f"mta-lab: {one_line(str(error))}", file=sys.stderr)
            sys.exit(2)
        except OSError as error:
            if error.filename is None:
                raise
            print(f"mta-lab: {one_line(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
            sys.exit(2)
