"""Keep beside the records how much longer a step of a row takes than one of its baseline."""

import json
from collections.abc import Collection, Iterable
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


def step_times(directory: Path, among: Collection[str] | None = None) -> dict[tuple[str, str], StepTime]:
    """Return those of a results directory, of some runs or of all, by row's and baseline's.

    Raises:
        UserError: their file cannot be read.
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
    return {(one.row, one.baseline): one for one in every if among is None or {one.row, one.baseline} <= {*among}}


def keep_step_times(directory: Path, measured: Iterable[StepTime]) -> None:
    """Add step times, each in the place of an earlier one of the same two runs.

    Raises:
        UserError: the file cannot be read or written.
    """
    kept = {**step_times(directory), **{(one.row, one.baseline): one for one in measured}}
    write_whole(directory / STEP_TIMES, written_step_times(kept.values()))


def merge_step_times(directory: Path, other: Path, among: Collection[str] | None = None) -> None:
    """Take in those of another results directory; where both have one of two runs, ours stays."""
    ours = step_times(directory)
    if missing := [one for pair, one in step_times(other, among).items() if pair not in ours]:
        keep_step_times(directory, missing)


def written_step_times(measured: Iterable[StepTime]) -> str:
    """Return the content of the file of these step times."""
    return json.dumps([asdict(one) for one in measured], indent=1) + "\n"
