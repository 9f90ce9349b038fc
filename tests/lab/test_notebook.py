"""The documentation's notebooks, the cells of each run in order by one process without a kernel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.extras import WITH_HF

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
RUN = """
import ast, sys

def show(value):
    if value is not None:
        shown = next((getattr(value, name) for name in ("_repr_svg_", "_repr_html_") if hasattr(value, name)), None)
        print("shown:", (shown() if shown else repr(value))[:2000])

if __name__ == "__main__":
    names = {}
    for cell in sys.argv[1:]:
        tree = ast.parse(cell)
        last = tree.body.pop().value if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            show(eval(compile(ast.Expression(last), "cell", "eval"), names))
"""


def cells(name: str) -> list[str]:
    """Return the code of a notebook, cell by cell."""
    found = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def shown_by(name: str, *more: str, folder: Path) -> list[str]:
    """Return what the cells of a notebook, and those behind them, show in a folder."""
    (folder / "run.py").write_text(RUN)
    command = [sys.executable, "run.py", *cells(name), *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("shown:")[1:]


@pytest.mark.parametrize("name", ["two_rows", "transformers"])
def test_a_notebook_is_short(name: str) -> None:
    assert sum(len(cell.splitlines()) for cell in cells(name)) < 30


@pytest.mark.slow
def test_the_notebook_runs_from_the_sweep_to_the_attention_of_its_model(tmp_path: Path) -> None:
    shown = shown_by("two_rows", "run.mlflow().info.status", folder=tmp_path)
    table, frame, forest, model, attention, accuracy, status = shown
    assert "<table" in table
    assert "<table" in frame
    assert "<svg" in forest
    assert "Decoder(" in model
    assert "<svg" in attention
    assert "EvaluationResult(token accuracy" in accuracy
    assert "FINISHED" in status


@pytest.mark.real
@WITH_HF
def test_the_notebook_of_transformers_runs_from_the_sweep_to_an_insertion(tmp_path: Path) -> None:
    _, files, generated, same = shown_by("transformers", folder=tmp_path)
    assert "'modeling_mta_llama.py'" in files
    assert "(True, 'def add(left, right):" in generated
    assert same.strip() == "True"
