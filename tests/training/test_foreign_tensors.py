"""Files of tensors from elsewhere: what unpacks to more than the file holds is refused first."""

import io
import pickle
import resource
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from mta_lab.training import tensors
from mta_lab.training.checkpoints import Checkpoints

HUGE = 1 << 31
PACKED = 1 << 26
ROOM = PACKED // 2  # bytes that a refusal may take


class Stored:
    """A storage, as the file names it: so many elements of member data/0."""

    def __init__(self, elements: Any, kind: Any = torch.FloatStorage) -> None:
        self.elements, self.kind = elements, kind


class Call:
    """A call that a file asks for."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Writer(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return ("storage", value.kind, "0", "cpu", value.elements) if isinstance(value, Stored) else None


def tensor(shape: Any, strides: Any, storage: Stored, offset: int = 0) -> Call:
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, OrderedDict())


def archive(path: Path, value: Any, data: bytes = bytes(64), packing: int = zipfile.ZIP_STORED) -> None:
    """A file as torch writes it, of a value that torch would not write."""
    buffer = io.BytesIO()
    Writer(buffer, protocol=2).dump({"a": value})
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, content in {"data.pkl": buffer.getvalue(), "data/0": data, "version": b"3\n"}.items():
            file.writestr(f"archive/{name}", content)


def whole(path: Path) -> None:
    archive(path, tensor((4, 4), (4, 1), Stored(16)))


def packed(path: Path) -> None:
    archive(path, tensor((PACKED // 4,), (1,), Stored(PACKED // 4)), bytes(PACKED), zipfile.ZIP_DEFLATED)


def packed_twice(path: Path) -> None:
    """Whose member is a small archive of a large one."""
    packed(path)
    archive(path, 1, path.read_bytes(), zipfile.ZIP_DEFLATED)


def a_length_longer_than_the_file(path: Path) -> None:
    whole(path)
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")  # of the directory: the sizes stand 20 bytes on
    path.write_bytes(content[: entry + 20] + struct.pack("<II", HUGE, HUGE) + content[entry + 28 :])


def members_that_share_their_bytes(path: Path) -> None:
    """The directory names one member a hundred times, by other names."""
    whole(path)
    content = path.read_bytes()
    first, last = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[first : content.index(b"PK\x01\x02", first + 4)]
    listed = b"".join(entry.replace(b"archive/data.pkl", b"archive/%08d" % number) for number in range(100))
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 100, 100, len(listed), first, 0)
    path.write_bytes(content[:first] + listed + end + content[last + 22 :])


def a_shape_that_repeats_its_bytes(path: Path) -> None:
    archive(path, tensor((HUGE,), (0,), Stored(16)))


def one_in_a_list_of_lists(path: Path) -> None:
    archive(path, [[{"b": (tensor((HUGE,), (0,), Stored(16)),)}]])


def a_negative_shape(path: Path) -> None:
    archive(path, tensor((-4, -4), (4, 1), Stored(16)))


def a_shape_that_overflows(path: Path) -> None:
    archive(path, tensor((1 << 62, 4), (4, 1), Stored(16)))


def more_elements_than_bytes(path: Path) -> None:
    archive(path, tensor((HUGE,), (1,), Stored(HUGE)))


def elements_that_overflow(path: Path) -> None:
    archive(path, tensor((2,), (1,), Stored(1 << 61, torch.DoubleStorage)))


def negative_elements(path: Path) -> None:
    archive(path, tensor((2,), (1,), Stored(-16)))


def an_offset_outside(path: Path) -> None:
    archive(path, tensor((4,), (1,), Stored(16), offset=1 << 40))


def bytes_by_number(path: Path) -> None:
    archive(path, Call(bytearray, Call(bytearray, HUGE)))


def a_tensor_by_number(path: Path) -> None:
    archive(path, Call(torch.FloatTensor, HUGE))


def no_names(path: Path) -> None:
    torch.save([torch.zeros(4)], path)


def nothing(path: Path) -> None:
    path.touch()


FOREIGN = [
    packed, packed_twice, a_length_longer_than_the_file, members_that_share_their_bytes, a_shape_that_repeats_its_bytes,
    one_in_a_list_of_lists, a_negative_shape, a_shape_that_overflows, more_elements_than_bytes, elements_that_overflow,
    negative_elements, an_offset_outside, bytes_by_number, a_tensor_by_number, no_names, nothing,
]  # fmt: skip


@contextmanager
def little_memory() -> Iterator[None]:
    """Whoever asks for much more memory than there is gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    whole(tmp_path / "file")
    assert tensors.read(tmp_path / "file")["a"].shape == (4, 4)


@pytest.mark.parametrize("write", FOREIGN, ids=lambda write: write.__name__)
def test_what_is_larger_than_it_is_is_refused(write: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "file"
    write(file)
    with little_memory(), pytest.raises(Exception, match=r".") as refused:
        tensors.read(file)
    assert not isinstance(refused.value, MemoryError)
    assert "memory" not in str(refused.value) or "would fill" in str(refused.value)


def test_a_checkpoint_from_somebody_else_is_said_and_left(tmp_path: Path) -> None:
    packed(tmp_path / "000000004.ckpt")
    said: list[str] = []
    assert Checkpoints(tmp_path).latest(said.append) is None
    assert "unpacks to" in said[0]
