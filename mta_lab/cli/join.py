"""`mta-lab join`: this machine trains for launches of others, in a Ray cluster."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.terminal import note


def join(
    address: Annotated[
        str,
        typer.Argument(
            metavar="HOST:PORT|ADDRESS", help="the cluster's head; with --head, how others reach this machine"
        ),
    ],
    head: Annotated[bool, typer.Option("--head", help="be the head of a new cluster")] = False,
    cores: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="cores that runs may have here; default: all")
    ] = None,
) -> None:
    """Let a Ray cluster train on this machine, until Ctrl-C.

    Only who knows the cluster's token is let in: the user's own, or one that the head makes in
    results/ray.token, which the machines share.
    """
    lab.joining.join(address, head=head, cores=cores, say=note)
