"""Files of the current folder, and what runs of them: nothing."""

import ast
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import matplotlib
import pytest
import typer

from mta_lab.children import ROOT, python, safe_path
from mta_lab.cli.app import app
from mta_lab.theme.style import STYLE, styled
from tests.decoys import leave_decoys, names
from tests.launch.sweeps import write_sweep

MTA_LAB = str(Path(sysconfig.get_path("scripts"), "mta-lab"))
OTHERS = {"pip", "mlflow", "torch", "random", "struct", "socket", "difflib", "traceback", "components"}
PYTHONS_OWN = {"sitecustomize", "usercustomize"}

ARGUMENTS = {
    "sweep": "toy.yaml --workers 1",
    "plan": "toy.yaml",
    "train": "training.steps=nonsense",
    "report": "toy.yaml --html",
    "status": "toy.yaml",
    "why": "toy.yaml talking",
    "retry": "toy.yaml",
    "sync": "toy.yaml",
    "kernels": "toy.yaml talking",
    "attend": "toy.yaml talking",
    "new": "attention key_shift",
    "gpu-check": "--out gpu.json",
    "bench": "op --shape 1,2,16,8 --rounds 1",
    "results merge": "elsewhere",
    "results archive": "toy.yaml",
}
"""of the commands that need some"""

TOY = {
    "task": {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12},
    "model": {"vocabulary": 28},
    "training": {"schedule": "constant"},
}

EVERY_COMMAND = """
import sys
from pathlib import Path
from mta_lab.cli import main
if __name__ == "__main__":
    for line in sys.argv[1:]:
        sys.argv = ["mta-lab", *line.split()]
        try:
            main()
        except SystemExit as end:
            print(line, "ended with", end.code)
        assert not Path("ran.txt").exists(), f"{line} ran {Path('ran.txt').read_text()}"
"""

PROCESSES = """
import multiprocessing.popen_forkserver, multiprocessing.popen_spawn_posix, random, sys, tempfile
from mta_lab.children import safe_path

def imported():
    import colorsys, sys
    print(colorsys.__file__)

if __name__ == "__main__":
    sys.path.insert(0, "")  # as in a notebook
    multiprocessing.set_forkserver_preload(["struct"])
    for method in ("spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=imported)
        with safe_path():
            process.start()
        process.join()
        assert process.exitcode == 0
    assert sys.path[0] == ""
"""


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command in `folder`, which is to succeed; return what it prints."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # as `make test` sets it
    done = subprocess.run(
        command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("command", "path", "decoys"),
    [
        ([MTA_LAB], ROOT, OTHERS | PYTHONS_OWN | {"mta_lab"}),
        ([sys.executable, "-m", "mta_lab"], ROOT, OTHERS | PYTHONS_OWN),
        ([*python("-m", "mta_lab")], ROOT, OTHERS | PYTHONS_OWN | {"mta_lab"}),
        ([MTA_LAB], f":{ROOT}", OTHERS),
        ([MTA_LAB], f"{ROOT}::/nowhere", OTHERS | {"mta_lab"}),
    ],
    ids=["mta-lab", "python -m", "python -P -m", "an empty entry in PYTHONPATH", "an empty entry in its middle"],
)
def test_the_command_runs_no_file_of_the_current_folder(
    command: list[str], path: str, decoys: set[str], tmp_path: Path
) -> None:
    told = leave_decoys(tmp_path, decoys)
    assert "Train what is missing of a sweep" in run([*command, "--help"], tmp_path, PYTHONPATH=path)
    assert not told.exists(), told.read_text()


def test_processes_of_multiprocessing_run_no_file_of_the_current_folder(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "script.py"
    script.parent.mkdir()
    script.write_text(PROCESSES)
    told = leave_decoys(tmp_path, OTHERS | {"colorsys", "multiprocessing", "pickle", "selectors"})
    printed = run([sys.executable, str(script)], tmp_path, PYTHONPATH=ROOT)
    assert printed.count("colorsys.py") == 2
    assert not told.exists(), told.read_text()


def test_a_folder_that_the_user_puts_on_the_path_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", *sys.path])
    before = sys.path.copy()
    for named in (str(tmp_path), f":{tmp_path}", ".:", f"/nowhere:{tmp_path}:"):
        monkeypatch.setenv("PYTHONPATH", named)
        with safe_path():
            assert "" not in sys.path
            assert str(tmp_path) in sys.path
            assert "" not in os.environ["PYTHONPATH"].split(":")
        assert sys.path == before
        assert os.environ["PYTHONPATH"] == named
    monkeypatch.setenv("PYTHONPATH", ":")
    with safe_path():
        assert str(tmp_path) not in sys.path
        assert "PYTHONPATH" not in os.environ


def test_the_package_is_found_where_it_lies_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Return an environment in which this package comes last, behind all others.

    So it is in a checkout that nobody installed, or beside another that is.
    """
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "other" / "mta_lab").mkdir(parents=True)
    (tmp_path / "library").mkdir()
    library, other = str(tmp_path / "library"), str(tmp_path / "other")
    monkeypatch.setattr(sys, "path", ["", library])
    with safe_path():
        assert sys.path == [library, ROOT]
    monkeypatch.setattr(sys, "path", ["", library, other])
    with safe_path():
        assert sys.path == [library, ROOT, other]


def test_one_place_starts_pythons() -> None:
    for file in sorted(Path(ROOT, "mta_lab").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used = attributes | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "executable" not in attributes or file.name == "children.py", f"{file}: children.python starts a Python"
        assert "get_context" not in attributes or "safe_path" in used, f"{file}: starts processes without safe_path"


@pytest.mark.parametrize(
    ("setting", "value"), [("text.usetex", True), ("axes.grid", True), ("image.cmap", "jet"), ("savefig.dpi", 10)]
)
def test_a_matplotlibrc_of_the_current_folder_runs_no_latex_and_changes_no_figure(
    setting: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(matplotlib.rcParams, setting, value)  # matplotlib has read that file by itself
    with styled():
        assert matplotlib.rcParams[setting] == matplotlib.rcParamsDefault[setting] != value
        assert matplotlib.rcParams["font.size"] == STYLE["font.size"]
    assert matplotlib.rcParams[setting] == value


def test_make_runs_no_file_of_the_current_folder(tmp_path: Path) -> None:
    told = leave_decoys(tmp_path, {"pip", "colorsys"})
    rule = f"probe: ; @{sys.executable} -m pip --version && {sys.executable} -c 'import colorsys'"
    assert "pip" in run(["make", "-f", str(Path(ROOT, "Makefile")), f"--eval={rule}", "probe"], tmp_path)
    assert not told.exists(), told.read_text()


@pytest.mark.slow
def test_no_command_runs_a_file_of_the_current_folder(tmp_path: Path) -> None:
    """The folder has a file of every name of the standard library and of what is installed.

    The workers are started in it, too.
    """
    script = tmp_path / "bin" / "every_command.py"
    script.parent.mkdir()
    script.write_text(EVERY_COMMAND)
    write_sweep(tmp_path / "toy.yaml", {"talking": {"attention": "talking_heads"}}, seeds=1, **TOY)
    leave_decoys(tmp_path, names())
    program = typer.main.get_command(app)
    every = [name for name, command in program.commands.items() if not hasattr(command, "commands")]
    for name, group in program.commands.items():
        every += [f"{name} {inner}" for inner in getattr(group, "commands", {})]
    every.remove("dashboard")  # becomes another program: tests/real/test_dashboard.py tries it among such files
    lines = [f"{name} {ARGUMENTS.get(name, '')}".strip() for name in every]
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    printed = run([sys.executable, str(script), *lines], tmp_path, PYTHONPATH=ROOT, **nowhere)
    assert "sweep toy.yaml --workers 1 ended with 0" in printed
    assert "attend toy.yaml talking ended with 0" in printed
    assert "bench op --shape 1,2,16,8 --rounds 1 ended with 0" in printed
