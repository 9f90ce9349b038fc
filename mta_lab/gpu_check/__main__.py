"""`python -m mta_lab.gpu_check STAGE FOLDER [small]`: run one stage and keep what it found.

The file `outcome.json` of the folder holds the stage's result or, where the exit status is not 0,
one line on what is wrong.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from mta_lab.errors import described
from mta_lab.gpu_check.check import NOT_RUN
from mta_lab.gpu_check.stages import NotRunError, StageError


def main(stage: str, folder: Path, small: bool) -> int:
    """Run a stage, which is the module of its name; return the exit status."""
    status = 0
    try:
        result = import_module(f"mta_lab.gpu_check.{stage}").run(folder, small)
    except NotRunError as error:
        status, result = NOT_RUN, str(error)
    except StageError as error:
        status, result = 1, str(error)
    except Exception as error:
        status, result = 1, described(error)
    (folder / "outcome.json").write_text(json.dumps(result))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] == ["small"]))
