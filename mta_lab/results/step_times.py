"""Keep beside the records how much longer a step of a row takes than one of its baseline."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mta_lab.atomic import write_whole
from mta_lab.errors import UserError
from mta_lab.strict import FaultError, as_json, built, content
from mta_lab.workspace import STEP_TIMES, in_shell


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """The time of a row's training step over that of its baseline's, taken in turns."""

    row: str
    """fingerprint of its first run"""
    baseline: str
    """fingerprint of the baseline's first run"""
    value: float
    low: float
    high: float
    """95 % interval of the median over the rounds"""
    rounds: int
    machine: str
    code: str
    """hash of the sources that computed it, and torch's release; of other code it is stale"""
    commit: str
    """of the code, for people: it also changes where no source does"""


def step_times(directory: Path) -> dict[tuple[str, str], StepTime]:
    """Return what is kept in a results directory, by the fingerprints of row and baseline.

    Raises:
        UserError: the file cannot be read.
    """
    file = directory / STEP_TIMES
    try:
        found = as_json(content(file))
        if not isinstance(found, list):
            raise FaultError("it is not a list of step times")
        every = [built(StepTime, one, f"[{place}].") for place, one in enumerate(found)]
    except OSError:
        return {}
    except FaultError as error:
        remedy = f"delete it, and a launch that trains measures anew: rm {in_shell(file)}"
        raise UserError(f"{file}: cannot be read ({error}); {remedy}") from None
    return {(one.row, one.baseline): one for one in every}


def keep_step_times(directory: Path, measured: Sequence[StepTime]) -> None:
    """Add step times, each in the place of an earlier one of the same two runs.

    Raises:
        UserError: the file cannot be read or written.
    """
    kept = {**step_times(directory), **{(one.row, one.baseline): one for one in measured}}
    write_whole(directory / STEP_TIMES, json.dumps([asdict(one) for one in kept.values()], indent=1) + "\n")
