"""`mta-lab components`: what is registered, with what can be set."""

from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.arguments import Components
from mta_lab.cli.terminal import make_console


def components(components: Components = None) -> None:
    """List the registered components and their settings."""
    console = make_console()
    for family, variants in lab.registry.registered(components or []).items():
        table = RichTable(title=family, title_justify="left", show_lines=True)
        for name in ("name", "what it is", "settings and defaults"):
            table.add_column(name)
        for variant in variants:
            table.add_row(*variant)
        console.print(table)
