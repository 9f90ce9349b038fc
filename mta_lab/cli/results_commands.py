"""The grammar of `mta-lab results`."""

from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName


def show(components: Components = None) -> None:
    """List what is finished here, and the room that it takes. By scale, text and engine, and by sweep."""
    from mta_lab.cli import results

    results.show(components or [])


def merge(
    other: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="another results directory")],
    replace: Annotated[
        bool, typer.Option("--replace", help="where a run or a search differs here, take the other directory's")
    ] = False,
    failures: Annotated[bool, typer.Option("--failures", help="take failed runs in, too")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="take the models' weights in, too")] = False,
) -> None:
    """Take the finished runs of another directory in. Takes searches, too; what differs here is kept and listed."""
    from mta_lab.cli import results

    results.merge(other, replace=replace, failures=failures, weights=weights)


def archive(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    components: Components = None,
    weights: Annotated[bool, typer.Option("--weights", help="with the models' weights")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="default: NAME-SCALE.tar.gz, here")] = None,
) -> None:
    """Pack a sweep's finished runs, its page and its table. As a tar.gz, with all that a report elsewhere needs."""
    from mta_lab.cli import results

    results.archive(name, settings or [], scale, seeds, components or [], weights=weights, output=output)


def mark(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="tables as `report --format json` prints them")
    ],
) -> None:
    """Mark written tables that are stale, and their Markdown. Stale is what its sweep would compute otherwise now."""
    from mta_lab.cli import marking

    marking.mark(files)


def fill(
    pages: Annotated[list[Path], typer.Argument(metavar="PAGE...", help="Markdown with blocks of results")],
) -> None:
    """Fill the blocks of Markdown pages with written tables. A block begins with <!-- results: TABLE.json -->."""
    from mta_lab.cli.common import make_console
    from mta_lab.report.fill import fill as filled

    for page in pages:
        make_console().print(f"{page}: {'filled anew' if filled(page) else 'as it was'}", soft_wrap=True)
