"""Files of tensors, whole or not at all: the checkpoints of a run that goes on, the weights of one that is done."""

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
    """Return what is in the file, on the CPU; one that is damaged, holds any code or unpacks to more than it is raises.

    Sizes are compared before anything is unpacked: a file may come from somebody else.
    """
    with zipfile.ZipFile(path) as archive:  # torch writes checksums and does not read them
        _refuse_more_than_it_is(path, archive)
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is damaged")
        _refuse_allocations(archive)
    values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(values, dict):
        raise ValueError(f"holds {type(values).__name__}, allowed: names with their values")
    for tensor in _tensors(values):
        _refuse_repeated(tensor)
    return values


def _refuse_more_than_it_is(path: Path, archive: zipfile.ZipFile) -> None:
    """Torch stores its tensors as they are: what is packed, or says that it is longer than the file, is not its."""
    size = path.stat().st_size
    declared = sum(member.file_size for member in archive.infolist())
    if declared > size:
        raise ValueError(f"says that it unpacks to {declared:,} bytes, of {size:,}; it would fill the memory")
    packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"{packed[0]} is compressed, and torch compresses nothing")


def _refuse_allocations(archive: zipfile.ZipFile) -> None:
    """Refuse calls that make memory of a number, which torch counts among what is no code."""
    for name in archive.namelist():
        if name.rpartition("/")[2] != "data.pkl":
            continue
        for operation, argument, _ in pickletools.genops(archive.read(name)):
            if operation.name == "GLOBAL" and str(argument).endswith(("Tensor", " bytearray")):
                raise ValueError(f"calls {argument}, which no file of this project does")


def _tensors(values: Mapping[str, Any]) -> Iterator[Tensor]:
    """All tensors in nested values, each value looked at once."""
    waiting: list[Any] = [values]
    seen = set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)


def _refuse_repeated(tensor: Tensor) -> None:
    """Raise ValueError for a tensor larger than its storage: copied, it would fill the memory."""
    given, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if given > stored:
        raise ValueError(f"a tensor of shape {list(tensor.shape)} says {given:,} bytes, and {stored:,} are stored")
