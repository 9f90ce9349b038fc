"""`mta-lab diff`: two runs, two sweeps, or one sweep at two commits, side by side."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, conditions
from mta_lab.cli.terminal import Terminal
from mta_lab.errors import UserError, nearest

FORMATS = ("rich", "markdown", "latex")
SIDE = "a sweep (NAME, FILE, NAME@COMMIT, or 'NAME KEY=VALUE' in quotes) or one run: its fingerprint, or its record"


def diff(
    one: Annotated[str, typer.Argument(metavar="A", help=SIDE, autocompletion=completion.sweeps)],
    other: Annotated[str, typer.Argument(metavar="B", help="the same", autocompletion=completion.sweeps)],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    form: Annotated[str, typer.Option("--format", help="rich, markdown or latex")] = "rich",
    components: Components = None,
) -> None:
    """Set two results side by side.

    Prints settings that differ, and differences of scores with intervals.

    A sweep at a commit is what that commit trained of its rows, whether that counts today or not.
    """
    if form not in FORMATS:
        raise UserError(f"--format: got '{form}'{nearest(form, FORMATS) or ';'} allowed: {', '.join(FORMATS)}")
    display = Terminal()
    page = lab.diffs.diff(one, other, conditions(settings, scale, seeds, components), display)
    lab.printing.print_page(page, form, display.console)
