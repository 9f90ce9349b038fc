"""The pytest plugin: `--mta-component FILE` runs the contracts over what FILE registers.

Nothing slow is imported for it until a component is named.
"""

from pathlib import Path

import pytest

from mta_lab.errors import UserError

OPTION = "--mta-component"
FOLDER = Path(__file__).parent
SUITE = sorted(FOLDER.glob("*conformance.py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("mta-lab").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="FILE",
        help="run MTA Lab's conformance tests over the components that FILE registers; may be given several times",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the named components, and collect the suite, alone or beside the named tests."""
    files = config.getoption(OPTION)
    if not files:
        return
    from mta_lab.testing.subjects import register_own  # noqa: PLC0415  imports torch

    invoked_in = config.invocation_params.dir
    try:
        register_own([*dict.fromkeys((invoked_in / file).resolve() for file in files)], OPTION)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    named = config.args if config.args_source == pytest.Config.ArgsSource.ARGS else []
    config.args = [*named, *(suite for path in SUITE if (suite := str(path)) not in named)]
