"""The grammar of the commands on one model, on components and on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings


def train(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Train one model and print its scores. For example: `mta-lab train attention=multi_token`."""
    from mta_lab.cli import single

    single.train_one(settings or [], scale, components or [])


def params(
    model: Annotated[str, typer.Option(help="transformer, differential, talking_heads, mta, or any attention variant")],
    scale: Scale = DEFAULT_SCALE,
    settings: Settings = None,
    components: Components = None,
) -> None:
    """Print how many parameters a model has. It is not built in memory."""
    from mta_lab.cli import single

    print(single.parameters(model, scale, settings or [], components or []))


def list_components(components: Components = None) -> None:
    """List the registered components and their settings."""
    from mta_lab.cli import registry

    registry.show(components or [])


def list_settings(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="a part of a key, of a component's name or of a line; or model.*")
    ] = "",
    components: Components = None,
) -> None:
    """List every key that can be set. With type, default, allowed values and meaning; in a pipe, separated by tabs."""
    from mta_lab.cli import settings

    settings.show(pattern, components or [])


def new(
    family: Annotated[str, typer.Argument(help="what to write: attention")],
    name: Annotated[str, typer.Argument(help="its name in the registry, like key_shift")],
) -> None:
    """Write a skeleton of a component, with comments. It trains as it stands."""
    from mta_lab.cli import registry

    registry.write_skeleton(family, name)


def bench(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[op|step|engine] [KEY=VALUE]...",
            help="op: the attention core alone; step: a whole training step (default), under settings (attention.KEY "
            "where a variant has it; attention=NAME: this one only); engine: plans, launches, answers, finished runs",
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    shape: Annotated[
        list[str] | None, typer.Option(help="op: batch,heads,tokens,head width, like 8,8,256,32; repeatable")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="how often each is measured; default: what fits into a few seconds, 3 to 25"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write everything that was measured to FILE")
    ] = None,
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
    """Measure what attention costs on this machine's CPU. Variants are measured in turns, and compared by ratios."""
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


def build_kernel() -> None:
    """Compile the fused kernels for this machine's CPU. `make setup` does this."""
    from mta_lab.cli import single

    single.build_kernel()


def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="port to listen on")] = 5000,
    host: Annotated[str, typer.Option(help="address to listen on; any but this machine's own gives a warning")] = (
        "127.0.0.1"
    ),
) -> None:
    """Open MLflow's pages over the runs, for this machine only."""
    from mta_lab.cli import single

    single.dashboard(port, host)
