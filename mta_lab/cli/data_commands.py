"""The grammar of `mta-lab data`."""

from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings


def prepare(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Fetch the text, if needed, and make the token files. `sweep` does this by itself."""
    from mta_lab.cli import single

    single.prepare_data(settings or [], scale, components or [])


def show(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Show the domains of the text, their sources and rights."""
    from mta_lab.cli import single

    single.show_data(settings or [], scale, components or [])


def verify(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Check every prepared file against its content hash."""
    from mta_lab.cli import single

    single.verify_data(settings or [], scale, components or [])
