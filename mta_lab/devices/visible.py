"""The GPUs that a launch may use, found without a CUDA context in this process.

A context takes about half a gigabyte of a GPU for as long as the process lives, and a GPU in
exclusive mode gives one process a context alone: a worker.
"""

import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from mta_lab.children import python

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"  # cuBLAS reads it once; with it, it can give the same bits each time
CARDS = Path("/dev/nvidia0"), Path("/dev/kfd")  # there where a driver of NVIDIA's or AMD's is loaded
DRIVER = Path("/proc/driver/nvidia/version")  # also in a container that is given no GPU
UNNAMED = "GPU"
LINE = re.compile(r"^\s*(?P<kind>GPU|MIG)\s+(?P<name>.*?)\s*\(UUID: (?P<uuid>[^)]+)\)\s*$")
COUNTED = "import torch; print(*map(torch.cuda.get_device_name, range(torch.cuda.device_count())), sep='\\n')"
VALUES = ("--format=csv,noheader,nounits",)
SECONDS = 60.0  # that a driver may take to answer: a machine just started loads it first


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a part of one."""

    key: str
    """what CUDA_VISIBLE_DEVICES calls it: a number, a UUID or the name of a MIG part"""
    name: str
    """of the model, like 'NVIDIA H100 80GB HBM3'; `UNNAMED` where it is not known"""


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that a process started here would see, none where torch can use none.

    Where CUDA_VISIBLE_DEVICES is set, its own list is split as text, so that UUIDs and names of MIG
    parts stay as they are. Otherwise the driver is asked.
    """
    return listed() if usable() else ()


def listed() -> tuple[Gpu, ...]:
    """Return the GPUs that the environment and the driver name; torch may be unable to use them."""
    present = _present(shutil.which("nvidia-smi"))
    if (given := os.environ.get(VISIBLE)) is None:
        return tuple(Gpu(key, name) for key, name, _ in present)
    names = {key: name for number, (_, name, uuid) in enumerate(present) for key in (str(number), uuid)}
    return tuple(Gpu(key, _named(key, names)) for key in keys_of(given))


def keys_of(given: str) -> list[str]:
    """Return the devices in a value of CUDA_VISIBLE_DEVICES: those before the first invalid one."""
    keys = [part.strip() for part in given.split(",")]
    none = (place for place, key in enumerate(keys) if not re.fullmatch(r"\d+|(GPU|MIG)-\S+", key))
    return keys[: next(none, len(keys))]


def usable() -> bool:
    """Return whether torch can compute on a GPU here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an old driver it warns in three lines; see `trouble`
        return torch.cuda.is_available()


def trouble() -> str:
    """Return a line if there is a GPU that runs do not use, else an empty string.

    It is NVIDIA's and torch cannot use it, or an accelerator that nothing here is tested on.
    """
    other = torch.accelerator.current_accelerator(check_available=True)
    if other and other.type != "cuda":
        return f"the accelerator '{other.type}' is not used: runs train on GPUs of CUDA or on the CPU, here on the CPU"
    found, given, present = listed(), os.environ.get(VISIBLE), _present(shutil.which("nvidia-smi"))
    hidden = given is not None and not keys_of(given)
    if hidden or not (present or CARDS[0].exists() or DRIVER.exists()) or usable():
        return ""
    if absent := [gpu.key for gpu in found if present and gpu.name == UNNAMED]:
        allowed = ", ".join(key for key, _, _ in present)
        return f"{VISIBLE}: got '{absent[0]}', allowed: {allowed}, as nvidia-smi lists them; runs train on the CPU"
    if not (present or CARDS[0].exists()):
        return (
            "NVIDIA's driver is loaded, and this process sees none of its GPUs; runs train on the CPU. A container "
            f"sees those that it is started with, like `docker run --gpus all`; {VISIBLE}= says that none is wanted"
        )
    built = f"torch {torch.__version__} is built for CUDA {torch.version.cuda}" if torch.version.cuda else (
        f"torch {torch.__version__} is built without CUDA"
    )  # fmt: skip
    return (
        f"{counted_gpus(found) or 'the NVIDIA GPU'} cannot be used: {built}, the driver is {driver()}; "
        f"runs train on the CPU. https://pytorch.org/get-started/locally names the torch for a driver; "
        f"{VISIBLE}= hides the GPU"
    )


def driver() -> str:
    """Return the version of NVIDIA's driver, or 'unknown'."""
    program = shutil.which("nvidia-smi")
    return (_version(program) if program else "") or "unknown"


def free_memory(devices: Sequence[Gpu]) -> float | None:
    """Return the bytes that are free on the fullest of some GPUs, as nvidia-smi says.

    None where that is not known, as of MIG parts, or where one takes a single process alone.
    """
    program = shutil.which("nvidia-smi")
    said = _answer(program, "--query-gpu=index,uuid,memory.free,compute_mode", *VALUES) if program else ""
    rows = [[field.strip() for field in line.split(",")] for line in said.splitlines()]
    shared = [row for row in rows if len(row) == 4 and row[2].isdigit() and row[3] == "Default"]
    free = {key: float(row[2]) * 2**20 for row in shared for key in row[:2]}
    found = [free[gpu.key] for gpu in devices if gpu.key in free]
    return min(found) if found and len(found) == len(devices) else None


def counted_gpus(found: Sequence[Gpu]) -> str:
    """Return GPUs in words: '8 x NVIDIA H100', or several kinds joined by commas."""
    names = [gpu.name for gpu in found]
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def together(keys: Sequence[str], devices: int) -> tuple[str, ...]:
    """Return devices that train a run together: of each so many, CUDA_VISIBLE_DEVICES."""
    return tuple(",".join(keys[first : first + devices]) for first in range(0, len(keys) - devices + 1, devices))


def environment_of(worker: int, keys: Sequence[str]) -> Mapping[str, str]:
    """Return the variables that give a worker its device of `keys`, or its several, in turn.

    A run of it may ask for `training.deterministic`.
    """
    if not keys:
        return {}
    order = {} if VISIBLE in os.environ else {ORDER: "PCI_BUS_ID"}  # numbers are those of nvidia-smi
    workspace, size = WORKSPACE
    return {VISIBLE: keys[worker % len(keys)], **order, workspace: os.environ.get(workspace, size)}


@cache
def _version(program: str) -> str:
    """Return the driver's version, as nvidia-smi says it of the first GPU."""
    return _answer(program, "--query-gpu=driver_version", *VALUES).partition("\n")[0].strip()


@cache
def _present(program: str | None) -> tuple[tuple[str, str, str], ...]:
    """Return (key, name, UUID) of each GPU of this machine, or of its MIG parts.

    Asks `program`, which is nvidia-smi; where it says nothing, torch in a child.
    """
    if program and (rows := _rows(_answer(program, "-L"))):
        return rows
    if (torch.version.cuda or torch.version.hip) and any(card.exists() for card in CARDS):
        names = _answer(*python("-c", COUNTED)).splitlines()
        return tuple((str(number), name, "") for number, name in enumerate(names))
    return ()


def _rows(said: str) -> tuple[tuple[str, str, str], ...]:
    """Return the rows of `nvidia-smi -L`; a GPU that is divided is there by its parts alone."""
    rows: list[tuple[str, str, str]] = []
    whole = ""
    for found in filter(None, map(LINE.match, said.splitlines())):
        name, uuid = re.sub(r"^\d+: |\s+Device\s+\d+:$", "", found["name"]), found["uuid"]
        if found["kind"] == "GPU":
            whole = name
        elif rows and rows[-1][2].startswith("GPU-"):
            rows.pop()
        rows.append((uuid, name if found["kind"] == "GPU" else f"{whole} MIG {name}", uuid))
    if any(uuid.startswith("MIG-") for _, _, uuid in rows):  # numbers would count otherwise
        return tuple(rows)
    return tuple((str(number), name, uuid) for number, (_, name, uuid) in enumerate(rows))


def _named(key: str, names: Mapping[str, str]) -> str:
    """Return the name of a device; a UUID may be given by its first characters."""
    return names.get(key) or next((name for known, name in names.items() if known.startswith(key)), UNNAMED)


def _answer(*command: str) -> str:
    """Return what a program prints; an empty string where it fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
