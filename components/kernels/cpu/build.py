"""Compile `csrc/` with the system's C++ compiler: `mta-lab build-kernel`, which `make setup` runs.

A library lies in the user's cache under a hash of its sources, compiler flags, machine and torch's
version, so that another checkout or another kind of processor never loads a library that was not
made from it and for it. A damaged library ends the process that loads it, and somebody else's does
there what it likes. So a new one is made aside, loaded by another process first, sealed with a
digest and put in its place whole; and none is loaded without its seal, or from a folder that others
can write to.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

SOURCES = Path(__file__).parent / "csrc"
NAME = "mta_lab_fused"
ASIDE = "build-"
SEAL = b"mta-lab"
BUILD = "`mta-lab build-kernel`"
COMMON_FLAGS = ("-O3", "-std=c++20", "-fopenmp", "-Wno-unknown-pragmas")
CPU_FLAGS = {
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
"""by torch's name of what the processor can (ATEN_CPU_CAPABILITY sets it lower);
others get the compiler's default"""


class BuildError(RuntimeError):
    """The compiled library cannot be made or may not be loaded; says what to do about it."""


def flags() -> tuple[str, ...]:
    """Return the compiler's flags for this processor, and MTA_LAB_KERNEL_FLAGS behind them."""
    capability = torch.backends.cpu.get_cpu_capability()
    known = capability if capability in CPU_FLAGS else "DEFAULT"
    named = (f"-DCPU_CAPABILITY={known}", f"-DCPU_CAPABILITY_{known}")
    extra = os.environ.get("MTA_LAB_KERNEL_FLAGS", "").split()
    return (*COMMON_FLAGS, *CPU_FLAGS.get(capability, ()), *named, *extra)


def library() -> Path:
    """Return where the compiled library of these sources for this processor belongs, there or not.

    Raise BuildError where there is no home directory to keep it in. A relative XDG_CACHE_HOME
    counts as none: a library that lies in the current folder may be anybody's.
    """
    digest = hashlib.sha256("\0".join((torch.__version__, platform.machine(), *flags())).encode())
    for source in sorted(path for path in SOURCES.iterdir() if path.suffix in (".cpp", ".h") and path.is_file()):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        cache = Path(given if os.path.isabs(given) else Path.home() / ".cache")
    except RuntimeError:  # no HOME, and a user whom the system does not know
        raise BuildError("there is no home directory; set HOME or XDG_CACHE_HOME") from None
    return cache / "mta-lab" / digest.hexdigest()[:16] / f"{NAME}.so"


def checked(path: Path) -> Path:
    """Return `path`; raise BuildError unless its library is whole and the user's own.

    Nobody else may be able to write it, root aside.
    """
    try:
        for folder in (path.parent.parent, path.parent):
            _refuse_foreign(folder)
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in _trusted():
            raise BuildError(f"{path}: no plain file of yours; {BUILD} compiles it anew")
        if (path.parent.stat().st_mode | found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
            raise BuildError(f"{path.parent}: others can write there; {BUILD} closes it and compiles the library anew")
        content = path.read_bytes()
    except FileNotFoundError:
        raise BuildError(f"not built; {BUILD} compiles it") from None
    except OSError as error:
        raise BuildError(f"{path}: {error.strerror}; {BUILD} compiles it anew") from None
    if content != sealed(content[: -len(sealed(b""))]):
        raise BuildError(f"{path}: damaged; {BUILD} compiles it anew")
    return path


def sealed(content: bytes) -> bytes:
    """Return a library with its digest appended, where no loader looks.

    One file is replaced as a whole.
    """
    return content + SEAL + hashlib.sha256(content).digest()


def build(say: Callable[[str], None] = print) -> Path:
    """Return the library's path; compile it first if it is not there, in about half a minute.

    Raises BuildError with the reason where that fails.

    One that is there and cannot be loaded is named, and compiled anew.
    """
    path = library()
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_foreign(folder)
        held = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)  # another build ends first; the lock ends with the process
            wrong = _wrong(path)
            if wrong is not None:
                if path.exists():
                    say(wrong)
                path.parent.chmod(0o700)
                _make(path)
        finally:
            os.close(held)
    except OSError as error:
        raise BuildError(f"{error.filename2 or error.filename or path}: {error.strerror}") from error
    return path


def _trusted() -> set[int]:
    """Return the users whose files may be loaded: the one who runs this, and root.

    Root can replace any file anyway.
    """
    return {os.geteuid(), 0}


def _refuse_foreign(folder: Path) -> None:
    """Raise BuildError where the folder is a link or another user's."""
    found, own = folder.lstat(), "set XDG_CACHE_HOME to a folder of your own"
    if stat.S_ISLNK(found.st_mode):
        raise BuildError(f"{folder}: a link, through which nothing is loaded; remove it, or {own}")
    if found.st_uid not in _trusted():
        raise BuildError(f"{folder}: belongs to another user (number {found.st_uid}); {own}")


def _wrong(path: Path) -> str | None:
    """Return why the library cannot be used, which a process of its own tries."""
    try:
        _child("load", str(checked(path)))
    except BuildError as error:
        return str(error)
    return None


def _make(path: Path) -> None:
    for left in path.parent.glob(f"{ASIDE}*"):  # by a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    if path.is_dir():
        raise BuildError(f"{path}: a folder in the library's place; remove it")
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        raise BuildError(f"no C++ compiler '{compiler}' on the PATH; on Debian: apt install g++")
    with TemporaryDirectory(prefix=ASIDE, dir=path.parent) as aside:
        _child("compile", aside, *(str(source) for source in sorted(SOURCES.glob("*.cpp"))))
        made = Path(aside, path.name)
        made.write_bytes(sealed(made.read_bytes()))
        made.chmod(0o700)
        made.replace(path)


def _child(*arguments: str) -> None:
    """Run this file on its own; nothing of the current folder (-P)."""
    done = subprocess.run([sys.executable, "-P", __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise BuildError(f"a process that loads the library dies ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        raise BuildError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])


def _compile(folder: str, sources: list[str]) -> None:
    from torch.utils import cpp_extension  # noqa: PLC0415  slow, and only the child process that compiles needs it

    os.environ.pop("LD_PRELOAD", None)  # a sanitizer's library is for this process; it slows the compiler
    cpp_extension.load(  # and load it here
        NAME,
        sources,
        extra_cflags=list(flags()),
        extra_ldflags=[flag for flag in flags() if flag == "-fopenmp" or flag.startswith("-fsanitize")],
        build_directory=folder,
        is_python_module=False,
    )


if __name__ == "__main__":
    try:
        if sys.argv[1] == "compile":
            _compile(sys.argv[2], sys.argv[3:])
        else:
            torch.ops.load_library(sys.argv[2])  # type: ignore[no-untyped-call]
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        sys.exit(([line for line in lines if "error:" in line] or lines)[0])
