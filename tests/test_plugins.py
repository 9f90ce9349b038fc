"""A user's components: files, directories and installed entry points."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import FAMILIES
from components.metrics import METRICS
from mta_lab.config import command_line, resolve, scale_layer
from mta_lab.errors import UserError
from mta_lab.plugins import VARIABLE, load_components
from mta_lab.sweep import load_sweep
from tests.config.helpers import registry_restored

VARIANT = '''
from torch import nn
from components.norms import NormConfig
from components.registry import register


@register("norms", "{name}")
class {class_name}(NormConfig):
    """A norm of the tests."""

    scale: float = 1.0
    """a number"""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return nn.Identity()
'''

EVALUATION = '''
from components import register
from components.evaluations import ErrorRate
from components.metrics import Metric


@register("evaluations", "reach")
class Reach(ErrorRate):
    """An evaluation of the tests."""

    metric = Metric(name="reach", estimator="proportions", most=1.0, higher_is_better={higher})
'''


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with registry_restored():
        yield


def write(file: Path, name: str) -> Path:
    """A file that registers the norm `name`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(VARIANT.format(name=name, class_name=name.title()))
    return file


def refused(*paths: Path) -> str:
    """Return what the user is told about `paths`, in one line."""
    with pytest.raises(UserError) as caught:
        load_components(paths)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_file_registers_what_it_decorates(tmp_path: Path) -> None:
    load_components([write(tmp_path / "mine.py", "mine")])
    settings = ["attention=multi_token", "attention.norm={name: mine, scale: 2.0}"]
    attention = resolve([scale_layer("nano"), command_line(settings)]).attention
    assert attention.norm.scale == 2.0  # type: ignore[attr-defined]


def test_directory_stands_for_its_python_files(tmp_path: Path) -> None:
    write(tmp_path / "one.py", "one")
    write(tmp_path / "two.py", "two")
    (tmp_path / "notes.txt").write_text("not Python (")
    load_components([tmp_path])
    assert {"one", "two"} <= set(FAMILIES["norms"].names())


def test_several_files(tmp_path: Path) -> None:
    load_components([write(tmp_path / "one.py", "one"), write(tmp_path / "sub" / "two.py", "two")])
    assert {"one", "two"} <= set(FAMILIES["norms"].names())


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere.py") in refused(tmp_path / "nowhere.py")


def test_file_that_is_not_python(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "notes.txt is not a Python file" in refused(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\ny = (\n", 2, "SyntaxError"),
        ("x = 1\n\nraise KeyError('lost')\n", 3, "KeyError: 'lost'"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        ("\nimport not_installed_anywhere\n", 2, "No module named 'not_installed_anywhere'"),
        ("raise ValueError('two\\nlines')\n", 1, "ValueError: two"),
        ("from components.registry import register\n\nregister('norm', 'x')\n", 3, "did you mean 'norms'?"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit: 0"),
    ],
)
def test_broken_file_is_named_with_its_line(text: str, line: int, says: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    said = refused(file)
    assert f"{file}:{line}: " in said
    assert says in said
    assert not [name for name in sys.modules if name.startswith("mta_lab_components_broken")]


def test_a_file_that_fails_half_way_registers_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "half.py", "half")
    file.write_text(file.read_text() + "\nraise ValueError\n")
    refused(file)
    assert "half" not in FAMILIES["norms"].names()


def test_a_file_that_failed_may_declare_another_metric_of_the_name_when_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(EVALUATION.format(higher=False) + "\nraise ValueError\n")
    refused(file)
    file.write_text(EVALUATION.format(higher=True))
    load_components([file])
    assert METRICS["reach"].higher_is_better


def test_name_that_ships_is_taken(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", "gate")
    said = refused(file)
    assert "norms 'gate' is registered twice" in said
    assert said.count("mine.py") >= 1
    assert "gate.py" in said
    assert FAMILIES["norms"].get("gate").__module__ == "components.norms.gate"


def test_two_files_with_one_name(tmp_path: Path) -> None:
    said = refused(write(tmp_path / "one.py", "same"), write(tmp_path / "two.py", "same"))
    assert "one.py" in said
    assert "two.py" in said


def test_a_file_is_loaded_once_by_whatever_path_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "mine.py", "mine")
    (tmp_path / "link.py").symlink_to(file)
    monkeypatch.setenv(VARIABLE, str(file))
    monkeypatch.chdir(tmp_path)
    load_components([file, Path("mine.py"), tmp_path / "link.py", tmp_path])
    load_components([file])
    assert FAMILIES["norms"].names().count("mine") == 1


def test_files_named_in_the_environment_are_loaded_for_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(write(tmp_path / "one.py", "one")), str(tmp_path / "gone.py")]))
    assert refused() == f"{VARIABLE}: no such file or directory: {tmp_path / 'gone.py'}"
    assert "one" in FAMILIES["norms"].names()


SWEEP = "components: [%s]\nbase: {attention: multi_token}\nrows:\n  a: {}\n  b: {attention.norm: mine}\n"


def test_a_sweep_file_names_its_components_beside_itself(tmp_path: Path) -> None:
    file = write(tmp_path / "sub" / "mine.py", "mine")
    (tmp_path / "sub" / "sweep.yaml").write_text(SWEEP % "mine.py")
    sweep = load_sweep(str(tmp_path / "sub" / "sweep.yaml"), scale="nano")
    assert sweep.components == (file,)
    assert sweep.rows[1].difference["attention.norm.name"] == "mine"


def test_a_component_file_that_is_not_there_is_named_with_the_sweeps_key(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP % "gone.py")
    with pytest.raises(UserError, match=r"sweep\.yaml: components: no such file or directory: .*gone\.py"):
        load_sweep(str(tmp_path / "sweep.yaml"), scale="nano")


def test_an_unknown_component_hints_at_the_ways_to_name_a_file(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("rows: {a: {attention: mine}}\n")
    with pytest.raises(
        UserError, match=r"no attention named 'mine'.*--components FILE, MTA_LAB_COMPONENTS=FILE, or com"
    ):
        load_sweep(str(tmp_path / "sweep.yaml"), scale="nano")
