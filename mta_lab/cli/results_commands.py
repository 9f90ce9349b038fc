"""The grammar of `mta-lab results`."""

from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName


def show(components: Components = None) -> None:
    """List what is finished here: by scale, text and engine, by sweep, and the room that it takes."""
    from mta_lab.cli import results

    results.show(components or [])


def merge(
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


def archive(
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


def mark(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="tables as `report --format json` prints them")
    ],
) -> None:
    """Mark written tables, and the Markdown beside them, as stale where their sweeps would run otherwise today."""
    from mta_lab.cli import marking

    marking.mark(files)
