"""The command line: the one place that knows every part. Heavy imports wait until a command needs them."""

import os
import sys

from mta_lab.errors import UserError, masked


def main() -> None:
    """Run the `mta-lab` command; a user's mistake is one line on stderr and exit status 2."""
    from mta_lab.cli.app import app
    from mta_lab.cli.output import OutputLostError, guarded_output

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody asked for reports to its makers
    if sys.argv[1:2] != ["bench"]:  # which measures processes as they come, or as workers are
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded; why: mta_lab.worker.pool
    with guarded_output():
        try:
            app(prog_name="mta-lab")
        except OutputLostError:
            raise
        except UserError as error:
            print(f"mta-lab: {masked(str(error))}", file=sys.stderr)
            sys.exit(2)
