"""The compiled library: its place, its name, and that only a whole one of ours is loaded."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
import torch

from components.kernels.cpu import build
from mta_lab.workspace import user_cache

TINY = 'extern "C" int answer() { return 42; }\n'
DIES = "#include <csignal>\nstruct Dies { Dies() { raise(SIGBUS); } } dies;\n"
CONTENT = bytes(range(256)) * 64


def runs_without(cwd: Path, say: str = "", **environment: str) -> str:
    """Return what a layer says of the implementation that ran, in another process."""
    code = (
        f"{say}\nimport torch; from components.attention import Softmax\n"
        "layer = Softmax().build(width=8, heads=2, layer=1, layers=1)\n"
        "layer(torch.zeros(1, 3, 8)); print(layer.ran.name, layer.ran.reason)"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    sources = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        env={**kept, **sources, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library's place in a cache of its own, where a whole one is that would not load."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = build.library()
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_bytes(build.sealed(CONTENT))
    assert build.checked(path) == path
    return path


def zero_in_the_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(4096) + content[8192:])


def give_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, -1)


def link(path: Path) -> None:
    elsewhere = path.rename(path.with_name("elsewhere"))
    path.symlink_to(elsewhere)


def replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": lambda path: os.truncate(path, 5000),
    "truncated by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "zeroed in the middle": zero_in_the_middle,
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "another library": lambda path: shutil.copy(torch._C.__file__, path) and None,
    "of before there were seals": lambda path: path.write_bytes(CONTENT) and None,
    "something behind its end": lambda path: path.write_bytes(path.read_bytes() + b"more") and None,
    "a folder in its place": replaced(lambda path: path.mkdir()),
    "a pipe in its place": replaced(os.mkfifo),
    "a link in its place": link,
    "somebody else's file": give_away,
    "writable by others": lambda path: path.chmod(0o722),
    "in a folder that all can write to": lambda path: path.parent.chmod(0o777),
    "in a folder that a group can write to": lambda path: path.parent.chmod(0o770),
}
FOREIGN: dict[str, Callable[[Path], None]] = {
    "a link to another folder": lambda path: link(path.parent),
    "a link around it": lambda path: link(path.parent.parent),
    "somebody else's folder": lambda path: give_away(path.parent),
    "a folder in somebody else's": lambda path: give_away(path.parent.parent),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_library_that_is_not_whole_is_named_and_not_loaded(name: str, kept: Path) -> None:
    DAMAGE[name](kept)
    with pytest.raises(build.BuildError) as refusal:
        build.checked(kept)
    assert str(refusal.value).startswith(str(kept.parent))
    assert "`mta-lab build-kernel`" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", FOREIGN)
def test_from_a_place_that_is_not_the_users_nothing_is_loaded_or_built(name: str, kept: Path) -> None:
    FOREIGN[name](kept)
    for attempt in (lambda: build.checked(kept), lambda: build.build(pytest.fail)):
        with pytest.raises(build.BuildError, match="set XDG_CACHE_HOME to a folder of your own") as refusal:
            attempt()
        assert str(refusal.value).split(": ")[0] in (str(kept.parent), str(kept.parent.parent))


def test_a_folder_in_the_place_of_the_library_is_left_to_the_user(kept: Path) -> None:
    kept.unlink()
    kept.mkdir()
    with pytest.raises(build.BuildError, match="a folder in the library's place; remove it"):
        build.build(lambda line: None)


def test_a_library_that_cannot_be_read_is_named(kept: Path) -> None:
    kept.chmod(0)
    if os.access(kept, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(build.BuildError, match="Permission denied"):
        build.checked(kept)


def test_with_a_damaged_library_attention_runs_and_says_why_not_compiled(kept: Path) -> None:
    zero_in_the_middle(kept)
    printed = runs_without(kept.parent, XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"])
    assert printed.startswith("sdpa ")
    assert f"{kept}: damaged; `mta-lab build-kernel` compiles it anew" in printed


def test_without_a_home_attention_runs_and_says_why_not_compiled(tmp_path: Path) -> None:
    """An unknown user without HOME, as in a container, can import; torch's forms run."""
    printed = runs_without(tmp_path, say="import pwd; pwd.getpwuid = {}.__getitem__")  # the system knows no user
    assert printed.startswith("sdpa ")
    assert "there is no home directory; set HOME or XDG_CACHE_HOME" in printed


@pytest.mark.parametrize("cache", [".", "cache", "../cache", "~/cache"])
def test_a_cache_that_is_relative_counts_as_none(
    cache: str, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the current folder lies whatever somebody left there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    usual = tmp_path / ".cache" / "mta-lab"
    assert build.library() == usual / kept.parent.name / kept.name
    assert user_cache() == usual


def test_folders_and_other_files_beside_the_sources_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = build.library()
    sources = tmp_path / "fused"
    shutil.copytree(build.SOURCES, sources)
    for folder in ("__pycache__", "notes.h"):
        (sources / folder).mkdir()
    (sources / "attend.cpp~").write_text("an editor's copy")
    monkeypatch.setattr(build, "SOURCES", sources)
    assert build.library() == expected
    (sources / "pointwise.h").write_text("other code")
    assert build.library() != expected


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source in the kernels' place that is compiled in no time, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "SOURCES", tmp_path / "sources")
    build.SOURCES.mkdir()
    (build.SOURCES / "tiny.cpp").write_text(TINY)
    return build.SOURCES / "tiny.cpp"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nothing", "zeroed in the middle", "a link in its place", "no library, but sealed"])
def test_what_is_not_whole_is_named_and_built_anew(name: str, source: Path) -> None:
    said: list[str] = []
    path = build.build(said.append)
    assert said == []
    assert path.parent.stat().st_mode & 0o777 == 0o700
    made = path.read_bytes()
    if name == "no library, but sealed":
        path.write_bytes(build.sealed(CONTENT))
    elif name != "nothing":
        DAMAGE[name](path)
    assert build.build(said.append) == build.checked(path)
    assert len(said) == (name != "nothing")
    assert len(path.read_bytes()) == len(made)
    assert {entry.name for entry in path.parent.iterdir()} <= {path.name, "elsewhere"}


@pytest.mark.slow
def test_a_folder_that_others_could_write_to_is_closed_and_its_library_built_anew(source: Path) -> None:
    path = build.library()
    path.parent.mkdir(parents=True)
    path.write_bytes(build.sealed(CONTENT))
    path.parent.chmod(0o777)
    said: list[str] = []
    build.build(said.append)
    assert ["others can write there" in line for line in said] == [True]
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_bytes() != build.sealed(CONTENT)


@pytest.mark.slow
def test_two_builds_at_once_end_with_one_whole_library(source: Path) -> None:
    found: list[Path] = []
    builds = [Thread(target=lambda: found.append(build.checked(build.build(pytest.fail)))) for _ in range(2)]
    for thread in builds:
        thread.start()
    for thread in builds:
        thread.join()
    assert found == [build.library()] * 2
    assert [entry.name for entry in build.library().parent.iterdir()] == [build.library().name]


@pytest.mark.slow
def test_a_build_that_is_killed_does_not_hurt_the_next(source: Path) -> None:
    code = "import pathlib, sys; from components.kernels.cpu import build; build.SOURCES = pathlib.Path(sys.argv[1])"
    command = [sys.executable, "-c", f"{code}; build.build()", str(source.parent)]
    first = subprocess.Popen(command, start_new_session=True)
    folder = build.library().parent
    while not list(folder.glob("build-*")):
        assert first.poll() is None
        time.sleep(0.01)
    first.kill()
    first.wait()
    try:
        assert not build.library().exists()
        assert build.checked(build.build(pytest.fail)).is_file()
        assert [entry.name for entry in folder.iterdir()] == [build.library().name]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)  # the compiler that it left


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "says"),
    [(DIES, "a process that loads the library dies (SIGBUS)"), ("int x = nonsense;\n", "error: 'nonsense' was not")],
    ids=["dies", "no C++"],
)
def test_what_cannot_be_built_is_said_and_leaves_nothing(text: str, says: str, source: Path) -> None:
    source.write_text(text)
    with pytest.raises(build.BuildError) as refusal:
        build.build(pytest.fail)
    assert says in str(refusal.value).replace("\u2018", "'").replace("\u2019", "'")
    assert not list(build.library().parent.iterdir())
