"""Files of tensors, whole or not at all: the checkpoints of a run that goes on, the weights of one that is done."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from mta_lab.atomic import replacing


def write(path: Path, values: dict[str, Any]) -> None:
    """Write tensors and plain data so that `path` holds all of it or what it held before; a failure is an OSError."""
    for left in path.parent.glob(f"{path.name}.*.tmp"):  # by a process that was killed
        left.unlink(missing_ok=True)
    try:
        with replacing(path) as file:
            torch.save(values, file)
    except RuntimeError as error:  # torch's, while it handles that of the disk
        cause = error.__context__
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error


def read(path: Path) -> dict[str, Any]:
    """What is in the file, on the CPU; one that is damaged or holds any code raises."""
    with zipfile.ZipFile(path) as archive:  # torch writes checksums and does not read them
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is damaged")
    values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return values
