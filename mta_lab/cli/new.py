"""`mta-lab new`: the skeleton of a component."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.workspace import again


def new(
    family: Annotated[
        str,
        typer.Argument(
            help="what to write: attention, evaluations, feed_forward, initialisers, kernel_init, norms, optimizers, "
            "positions, residual_norms, schedules, score_ops or tasks"
        ),
    ],
    name: Annotated[str, typer.Argument(help="its name in the registry, like key_shift")],
) -> None:
    """Write a skeleton of a component, with comments. It works as it stands."""
    file = lab.registry.write_skeleton(family, name)
    use = lab.registry.USES[family].format(name=name)
    print(f"{file}: written. Try it:  {again('mta-lab train')} {use} --components {file}")
    print(f"Test it:  pytest --mta-component {file}")
