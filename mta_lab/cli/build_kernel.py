"""`mta-lab build-kernel`: compile the fused kernels for this machine."""

from mta_lab.cli.terminal import make_console
from mta_lab.errors import UserError


def build_kernel() -> None:
    """Compile the fused kernels for this machine's CPU. `make setup` does this."""
    from components.kernels.cpu import build  # imports torch

    console = make_console()
    try:
        with console.status("compiling the fused kernels (about half a minute)"):
            path = build.build(console.print)
    except build.BuildError as error:
        raise UserError(f"build-kernel: {error}") from None
    console.print(f"fused kernels: {path}", soft_wrap=True)
