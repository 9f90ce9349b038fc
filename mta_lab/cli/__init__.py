"""The command line: the one place that knows every part. Heavy imports wait until a command needs them."""

import os
import sys

from mta_lab.errors import UserError, masked


def main() -> None:
    """Run the `mta-lab` command; a user's mistake is one line on stderr and exit status 2."""
    from mta_lab.cli.app import app

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody asked for reports to its makers
    try:
        app(prog_name="mta-lab")
    except UserError as error:
        print(f"mta-lab: {masked(str(error))}", file=sys.stderr)
        sys.exit(2)
