"""The Tab key offers what the commands take, and nothing heavy is loaded for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mta_lab.cli import completion
from mta_lab.cli.report import FIGURES
from mta_lab.config import scales
from mta_lab.report import FORMATS
from mta_lab.sweep import shipped_sweeps
from tests.cli.conftest import Command
from tests.shipped import shipped

LOADED = "import contextlib, sys; from mta_lab.cli import main\nwith contextlib.suppress(SystemExit): main()\n"
SWEEP = (
    "rows:\n  transformer: {attention: softmax}\n  no norm: {attention.norm: none}\n"
    "  1e-3: {}\n  off: {}\n  lr: {grid: {}}\n"
)


def offered(lab: Command, monkeypatch: pytest.MonkeyPatch, line: str, shell: str = "bash") -> list[str]:
    """Return what is offered at the end of a line that is being typed."""
    monkeypatch.setenv("_MTA_LAB_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    return [name for name in lab().out.splitlines() if name]


def test_names_offered_are_those_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.sweeps() == shipped_sweeps()
    assert completion.scales() == sorted(scales())
    assert completion.formats() == [*FORMATS, "html", *FIGURES]


@pytest.mark.parametrize("command", ["sweep", "plan", "retry", "report", "status", "why", "sync", "kernels", "attend"])
def test_every_command_on_a_sweep_offers_shipped_sweeps_and_files_here(
    command: str, lab: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kernels_of_mine.yaml").write_text(SWEEP)
    found = offered(lab, monkeypatch, f"mta-lab {command} kernel")
    assert found == ["kernel_grid", "kernel_init", "kernel_sizes", "kernels_of_mine.yaml"]


@pytest.mark.parametrize("command", ["why", "retry", "kernels", "attend"])
def test_rows_are_those_of_the_sweep_before_them(
    command: str, lab: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(SWEEP)
    rows = [row.name for row in shipped("kernel_sizes").rows]
    assert offered(lab, monkeypatch, f"mta-lab {command} kernel-sizes ") == rows
    assert offered(lab, monkeypatch, f"mta-lab {command} mine.yaml ") == ["transformer", r"no\ norm", "1e-3", "off"]
    assert offered(lab, monkeypatch, f"mta-lab {command} nowhere.yaml ") == []
    assert offered(lab, monkeypatch, f"mta-lab {command} leave_one_out ") == []  # its rows are made, not written


def test_scales_and_formats_are_offered(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(lab, monkeypatch, "mta-lab train --scale na") == ["nano"]
    assert offered(lab, monkeypatch, "mta-lab report kernel_sizes --format l") == ["latex"]


def test_completing_loads_nothing_heavy(tmp_path: Path) -> None:
    line = {"_MTA_LAB_COMPLETE": "complete_bash", "COMP_WORDS": "mta-lab why kernel_sizes ", "COMP_CWORD": "3"}
    script = f"{LOADED}print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, **line}, text=True,
                          capture_output=True, check=True, timeout=60)  # fmt: skip
    assert "4x9" in done.stdout
    assert not {"torch", "lightning", "mlflow", "optuna", "omegaconf", "numpy"} & set(done.stdout.split())
