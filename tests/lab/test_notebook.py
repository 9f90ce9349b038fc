"""The documentation's notebook, its cells run in order by one process without a kernel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "two_rows.ipynb"
CELLS = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
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


def test_the_notebook_is_short() -> None:
    assert sum(len(cell.splitlines()) for cell in CELLS) < 30


@pytest.mark.slow
def test_the_notebook_runs_from_the_sweep_to_the_attention_of_its_model(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(RUN)
    command = [sys.executable, "run.py", *CELLS, "run.mlflow().info.status"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    table, frame, forest, model, attention, accuracy, status = done.stdout.split("shown:")[1:]
    assert "<table" in table
    assert "<table" in frame
    assert "<svg" in forest
    assert "Decoder(" in model
    assert "<svg" in attention
    assert "EvaluationResult(token accuracy" in accuracy
    assert "FINISHED" in status
