"""LaTeX that compiles, where a compiler is at hand; its structure everywhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mta_lab.report.latex import escaped, page_as_latex
from mta_lab.report.render import page_of
from tests.report.examples import CLEAR, renamed, table_of

NAMES = {"narrow": r"50% & #1_a{b}~^\c $x$", "wide": '[4x9] <|"é"|>'}
COMPILERS = [name for name in ("tectonic", "pdflatex") if shutil.which(name)]


def example(folder: Path) -> str:
    return page_as_latex(page_of(renamed(table_of(folder, CLEAR), NAMES)))


def test_environments_and_braces_are_balanced(tmp_path: Path) -> None:
    text = example(tmp_path)
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")


def test_each_line_of_a_table_has_as_many_runs_as_columns(tmp_path: Path) -> None:
    text = example(tmp_path)
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}\n\\toprule\n(.*?)\\bottomrule", text, flags=re.DOTALL)
    assert len(tables) == 4
    for columns, body in tables:
        lines = [line for line in body.splitlines() if line != r"\midrule"]
        assert body.count(r"\midrule") == 1
        for line in lines:
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1


def test_no_special_character_is_left(tmp_path: Path) -> None:
    assert escaped(NAMES["narrow"]) == (
        r"50\% \& \#1\_a\{b\}\textasciitilde{}\textasciicircum{}\textbackslash{}c \$x\$"
    )
    names = [line for line in example(tmp_path).splitlines() if line.startswith((r"50\%", "{[4x9]"))]
    assert len(names) == 8  # scores, deltas along training and both costs of either row
    for line in names:
        assert not re.search(r"(?<!\\)[%#_~^]", line)


def test_negative_numbers_have_a_minus_sign(tmp_path: Path) -> None:
    assert re.search(r"\$-\$6\.\d+\\% \[\$-\$", example(tmp_path))


@pytest.mark.skipif(not COMPILERS, reason="no LaTeX compiler on this machine")
def test_it_compiles(tmp_path: Path) -> None:
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}\begin{document}"
    (tmp_path / "page.tex").write_text(f"{head}\n{example(tmp_path)}\n\\end{{document}}\n", encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error"] if COMPILERS[0] == "pdflatex" else []
    done = subprocess.run(
        [COMPILERS[0], *options, "page.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
