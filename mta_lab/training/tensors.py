"""Read and write files of tensors: checkpoints, and weights of finished runs."""

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mta_lab.atomic import replacing


def write(path: Path, values: dict[str, Any]) -> None:
    """Write tensors and plain data to `path`, which holds all of it or is unchanged.

    Raises:
        OSError: it cannot be written.
    """
    for left in path.parent.glob(f"{path.name}.*.tmp"):  # left by a process that was killed
        left.unlink(missing_ok=True)
    try:
        with replacing(path) as file:
            torch.save(values, file)
    except RuntimeError as error:  # torch raises it in place of the disk's error
        cause = error.__context__
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error


def read(path: Path) -> dict[str, Any]:
    """Return the content of a file, with its tensors on the CPU.

    A file may come from somebody else: sizes are compared before anything is unpacked, and nothing
    in it is executed.

    Raises:
        ValueError: it is damaged, contains code, or would unpack to more than its own size.
    """
    with zipfile.ZipFile(path) as archive:  # torch writes checksums, but does not check them
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
    """Refuse a file that torch did not write: compressed, or longer than it is when unpacked."""
    size = path.stat().st_size
    declared = sum(member.file_size for member in archive.infolist())
    if declared > size:
        raise ValueError(f"unpacks to {declared:,} bytes, but the file has {size:,}; it would fill the memory")
    packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"{packed[0]} is compressed, which torch never does")


def _refuse_allocations(archive: zipfile.ZipFile) -> None:
    """Refuse calls that allocate memory of a given size, which torch allows as harmless."""
    for name in archive.namelist():
        if name.rpartition("/")[2] != "data.pkl":
            continue
        for operation, argument, _ in pickletools.genops(archive.read(name)):
            if operation.name == "GLOBAL" and str(argument).endswith(("Tensor", " bytearray")):
                raise ValueError(f"calls {argument}, which no file of this project calls")


def _tensors(values: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield all tensors in nested values; look at each value once."""
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
        raise ValueError(f"a tensor of shape {list(tensor.shape)} claims {given:,} bytes, but {stored:,} are stored")
