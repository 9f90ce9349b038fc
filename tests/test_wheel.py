"""The wheel, in an environment of its own, works in a folder that has no checkout around it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components import FAMILIES

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
TINY = ("data.corpus=stdlib", "training.steps=20", "--seeds", "1")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-v")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="builds the wheel; `make setup` installs it")
    folder = tmp_path_factory.mktemp("wheel")
    pip(["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)])
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment with the wheel.

    What the wheel needs is found in this environment.
    """
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120)
    bin = environment / "bin"
    pip(["--python", str(bin / "python"), "install", "--no-deps", "--no-index", str(wheel)])
    site = next((environment / "lib").glob("python*/site-packages"))
    others = [path for path in sys.path if path.endswith("site-packages")]  # their own .pth files have no effect there
    (site / "others.pth").write_text("\n".join(others), encoding="utf-8")
    return bin


def pip(arguments: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], check=True, timeout=300)


def start(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, without a path to this checkout."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MTA_LAB_COMPONENTS")}
    command = [program, *arguments]
    return subprocess.run(command, check=False, cwd=cwd, env=clean, capture_output=True, text=True, timeout=600)


def run(program: Path, *arguments: str, cwd: Path) -> str:
    """Return what a program prints that ends well."""
    done = start(program, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_tracked_file_and_no_test(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    listing = ["git", "ls-files", "components", "mta_lab", "sweeps", ":!sweeps/results/records"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [file for file in tracked if (ROOT / file).is_file() and file not in inside]
    assert not [file for file in inside if file.startswith("tests/")]


def test_a_sweep_of_the_wheel_trains_and_is_reported(programs: Path, tmp_path: Path) -> None:
    assert "site-packages" in run(programs / "python", "-c", "import mta_lab; print(mta_lab.__file__)", cwd=tmp_path)
    run(programs / "mta-lab", "sweep", "kernel_sizes", *TINY, cwd=tmp_path)
    table = run(programs / "mta-lab", "report", "kernel_sizes", *TINY, "--format", "csv", cwd=tmp_path)
    assert len(table.splitlines()) == 1 + 5


def test_a_project_with_a_folder_components_of_its_own_uses_ours(programs: Path, tmp_path: Path) -> None:
    run(programs / "mta-lab", "new", "attention", "key_shift", cwd=tmp_path)
    own = tmp_path / "components"
    own.mkdir()
    (own / "__init__.py").write_text("raise RuntimeError('this one is not meant')\n", encoding="utf-8")
    (tmp_path / "key_shift.py").rename(own / "key_shift.py")
    given = ("attention=key_shift", *TINY[:2], "--components", "components/key_shift.py")
    assert "perplexity" in run(programs / "mta-lab", "train", *given, cwd=tmp_path)


def test_components_written_outside_the_checkout_pass_their_contracts(programs: Path, tmp_path: Path) -> None:
    named = [word for family in FAMILIES for word in ("--mta-component", f"mine_{family}.py")]
    for family in FAMILIES:
        run(programs / "mta-lab", "new", family, f"mine_{family}", cwd=tmp_path)
    passed = run(programs / "python", *PYTEST, *named, cwd=tmp_path)
    for family in FAMILIES:
        assert f"mine_{family}" in passed


def test_a_component_that_looks_ahead_fails_its_contract_there(programs: Path, tmp_path: Path) -> None:
    run(programs / "mta-lab", "new", "attention", "ahead", cwd=tmp_path)
    file = tmp_path / "ahead.py"
    file.write_text(file.read_text(encoding="utf-8").replace("is_causal=True", "is_causal=False"), encoding="utf-8")
    failed = start(programs / "python", *PYTEST, "--mta-component", "ahead.py", cwd=tmp_path)
    assert failed.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_causal[attention-ahead]" in failed.stdout
