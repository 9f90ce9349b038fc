"""The commands of `mta-lab`, in the order in which `--help` lists them."""

from importlib import metadata
from typing import Annotated

import typer

from mta_lab.cli import data_commands, model_commands, pictures, results_commands, sweep_commands

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


app.command()(sweep_commands.sweep)
app.command()(sweep_commands.retry)
app.command()(sweep_commands.plan)
app.command()(sweep_commands.report)
app.command()(sweep_commands.status)
app.command()(sweep_commands.why)
app.command()(sweep_commands.sync)
app.command()(model_commands.train)
app.command()(model_commands.params)
app.command("components")(model_commands.list_components)
app.command("settings")(model_commands.list_settings)
app.command()(model_commands.new)
app.command()(model_commands.bench)
app.command()(pictures.kernels)
app.command()(pictures.attend)
app.command("build-kernel")(model_commands.build_kernel)
app.command()(model_commands.dashboard)

data_app.command()(data_commands.prepare)
data_app.command()(data_commands.show)
data_app.command()(data_commands.verify)

results_app.command("list")(results_commands.show)
results_app.command()(results_commands.merge)
results_app.command()(results_commands.archive)
results_app.command()(results_commands.mark)
results_app.command()(results_commands.fill)
