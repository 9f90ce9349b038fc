"""Compiles `fused/` with the system's C++ compiler: `mta-lab build-kernel`, which `make setup` runs.

A library lies in the user's cache under a hash of its sources, compiler flags and torch's version, so that another
checkout or another kind of processor never loads a library that was not made from it and for it.
"""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

import torch

SOURCES = Path(__file__).parent / "fused"
NAME = "mta_lab_fused"
COMMON_FLAGS = ("-O3", "-std=c++20", "-fopenmp", "-Wno-unknown-pragmas")
CPU_FLAGS = {
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
"""by torch's name of what the processor can (ATEN_CPU_CAPABILITY sets it lower); others get the compiler's default"""


class BuildError(RuntimeError):
    """The kernel could not be compiled: no compiler, or an error from it."""


def flags() -> tuple[str, ...]:
    """The compiler's flags for this processor, and MTA_LAB_KERNEL_FLAGS behind them."""
    capability = torch.backends.cpu.get_cpu_capability()
    known = capability if capability in CPU_FLAGS else "DEFAULT"
    named = (f"-DCPU_CAPABILITY={known}", f"-DCPU_CAPABILITY_{known}")
    extra = os.environ.get("MTA_LAB_KERNEL_FLAGS", "").split()
    return (*COMMON_FLAGS, *CPU_FLAGS.get(capability, ()), *named, *extra)


def library() -> Path:
    """Return where the compiled library of these sources for this processor belongs, there or not.

    Raise BuildError where there is no home directory to keep it in.
    """
    digest = hashlib.sha256("\0".join((torch.__version__, *flags())).encode())
    for source in sorted(path for path in SOURCES.iterdir() if path.suffix in (".cpp", ".h") and path.is_file()):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and a user whom the system does not know
        raise BuildError("there is no home directory; set HOME or XDG_CACHE_HOME") from None
    return cache / "mta-lab" / digest.hexdigest()[:16] / f"{NAME}.so"


def build() -> Path:
    """Compile the library if it is not there, in about half a minute, and return its path; BuildError says why not."""
    path = library()
    compiler = os.environ.get("CXX", "c++")
    try:
        if path.exists():
            return path
        if shutil.which(compiler) is None:
            raise BuildError(f"no C++ compiler '{compiler}' on the PATH; on Debian: apt install g++")
        path.parent.mkdir(parents=True, exist_ok=True)
        from torch.utils import cpp_extension  # slow to import, and only needed here

        with (path.parent / "building").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # ends with the process
            (path.parent / "lock").unlink(
                missing_ok=True
            )  # torch's: a killed build leaves it, and the next waits for it
            cpp_extension.load(
                NAME,
                [str(source) for source in sorted(SOURCES.glob("*.cpp"))],
                extra_cflags=list(flags()),
                extra_ldflags=[flag for flag in flags() if flag == "-fopenmp" or flag.startswith("-fsanitize")],
                build_directory=str(path.parent),
                is_python_module=False,
            )
    except BuildError:
        raise
    except Exception as error:
        wrong = [line for line in str(error).splitlines() if "error:" in line]
        raise BuildError((wrong or str(error).splitlines())[0]) from error
    return path
