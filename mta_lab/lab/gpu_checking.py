"""Check a machine with a GPU, stage by stage."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.devices.visible import gpus, trouble
from mta_lab.errors import UserError, nearest
from mta_lab.gpu_check.check import Say, check
from mta_lab.gpu_check.stages import STAGES, Stage

DEVICES = ("cuda", "cpu")


def stages_of(names: Sequence[str]) -> list[Stage]:
    """Return the stages of these names in their order, all of them for none.

    Raises:
        UserError: there is no stage of a name.
    """
    known = [stage.name for stage in STAGES]
    for name in names:
        if name not in known:
            raise UserError(f"--only: no stage named '{name}'{nearest(name, known) or ';'} stages: {', '.join(known)}")
    return [stage for stage in STAGES if not names or stage.name in names]


def checked(file: Path, stages: Sequence[Stage], device: str, say: Say) -> bool:
    """Run the stages on `device`, keep what they find in `file`, and return whether none failed.

    On the device 'cpu' they are small.

    Raises:
        UserError: the device is no such word, or the file cannot be written.
    """
    if device not in DEVICES:
        raise UserError(f"--device: got '{device}', allowed: {', '.join(DEVICES)}")
    return check(file, stages, small=device == "cpu", say=say)


def missing() -> str:
    """Return why there is no GPU to check, or an empty string where there is one."""
    return "" if gpus() else trouble() or "there is no GPU here that torch can use"
