"""`mta-lab build-kernel`: compile the fused kernels for this machine."""

from mta_lab import lab
from mta_lab.cli.terminal import make_console


def build_kernel() -> None:
    """Compile the fused kernels for this machine's CPU. `make setup` does this."""
    console = make_console()
    with console.status("compiling the fused kernels (about half a minute)"):
        path = lab.compiling.compiled(console.print)
    console.print(f"fused kernels: {path}", soft_wrap=True)
