"""Components of installed distributions: loaded where a name asks for them, named where broken."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import FAMILIES
from components.registry import ComponentError
from mta_lab.config import command_line, resolve, scale_layer
from mta_lab.errors import UserError
from mta_lab.plugins import ENTRY_POINTS, load_components, plugins_loaded
from mta_lab.sweep import load_sweep
from tests.config.helpers import registry_restored
from tests.test_plugins import VARIANT

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return `install(name, code)`, which leaves what pip would leave of a distribution.

    After `install("ours", code)`, it is ours 1.0 with the module `ours`.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def one(name: str, code: str | None, target: str = "") -> None:
        if code is not None:
            (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nnorms = {target or name}\n")

    with registry_restored():
        yield one
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def norm(name: str) -> str:
    """The code of a module that registers the norm `name`."""
    return VARIANT.format(name=name, class_name=name.title())


def resolved(*settings: str) -> object:
    load_components([])
    return resolve([scale_layer("nano"), command_line(settings)]).attention


def test_a_name_that_is_asked_for_is_found(install: Install) -> None:
    install("ours", norm("warm"))
    attention = resolved("attention=multi_token", "attention.norm={name: warm, scale: 2.0}")
    assert attention.norm.scale == 2.0  # type: ignore[attr-defined]
    assert plugins_loaded()  # and the launch's workers are told so


@pytest.mark.parametrize("settings", [["attention.norm.scale=2", "attention.norm=warm"], ["attention.norm.scale=2.5"]])
def test_a_setting_that_no_shipped_component_has_is_found(settings: list[str], install: Install) -> None:
    install("ours", norm("warm"))
    resolved("attention=multi_token", "attention.norm=warm", *settings[:1])


def test_what_is_not_needed_is_not_loaded(install: Install) -> None:
    install("ours", "raise SystemExit('this would end the command')")
    resolved("attention=multi_token", "attention.norm=gate")
    load_sweep("kernel_sizes", scale="nano")
    assert "ours" not in sys.modules


def test_a_list_of_all_names_has_those_of_plugins(install: Install) -> None:
    install("ours", norm("warm"))
    load_components([])
    assert "warm" in FAMILIES["norms"].names()


BROKEN: dict[str, tuple[str | None, str, str]] = {
    "an import of nothing": ("import not_installed_anywhere", "", "No module named 'not_installed_anywhere'"),
    "no Python": ("x = (", "", "SyntaxError"),
    "an exit": ("import sys\nsys.exit()", "", "SystemExit"),
    "an exit of another kind": ("class End(BaseException): ...\nraise End('of all')", "", "End: of all"),
    "an exception": ("raise ValueError('two\\nlines')", "", "ValueError: two"),
    "an error while it registers": (
        norm("half") + "\n\nregister('norms', 'other')(int)",
        "",
        "'other' must subclass NormConfig",
    ),
    "no such family": ("from components.registry import register\nregister('norm', 'x')", "", "did you mean 'norms'?"),
    "one name twice": (norm("half") + norm("half"), "", "norms 'half' is registered twice"),
    "a name that ships": (norm("gate"), "", "norms 'gate' is registered twice"),
    "no module": (None, "", "No module named 'broken'"),
    "no such object": ("", "broken:nothing", "no attribute 'nothing'"),
    "no target": ("", ":", ""),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_skipped_with_a_warning_where_it_is_not_needed(
    how: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    code, target, says = BROKEN[how]
    install("broken", code, target)
    install("ours", norm("warm"))
    resolved("attention=multi_token", "attention.norm=warm")
    resolved("attention=multi_token", "attention.norm=warm")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mta-lab: warning: plugin broken 1.0 (entry point {ENTRY_POINTS}:norms) cannot be loaded: ")
    assert says in line
    assert line.endswith("; it is skipped")
    assert "half" not in FAMILIES["norms"].names()


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_named_where_a_name_is_missing(
    how: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    code, target, says = BROKEN[how]
    install("broken", code, target)
    with pytest.raises(UserError) as refused:
        resolved("attention=multi_token", "attention.norm=half")
    said = str(refused.value)
    assert "no norms named 'half'" in said
    assert f"plugin broken 1.0 (entry point {ENTRY_POINTS}:norms) cannot be loaded: " in said
    assert says in said
    assert "\n" not in said
    assert capsys.readouterr().err == ""


def test_a_name_of_two_distributions_is_neithers(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two", "three"):
        install(name, norm("same"))
    install("ours", norm("warm"))
    resolved("attention=multi_token", "attention.norm=warm")
    (line,) = capsys.readouterr().err.splitlines()
    assert "register the same norms 'same': uninstall one; it is skipped" in line
    with pytest.raises(
        UserError, match=r"plugins one 1\.0 .* and three 1\.0 .* and two 1\.0 .* register the same norms"
    ):
        resolved("attention=multi_token", "attention.norm=same")


def test_a_file_that_is_named_comes_before_a_plugin(install: Install, tmp_path: Path) -> None:
    install("ours", norm("warm") + norm("cold"))
    (tmp_path / "mine.py").write_text(norm("warm"))
    load_components([tmp_path / "mine.py"])
    assert FAMILIES["norms"].get("warm").__module__.startswith("mta_lab_components_mine")
    with pytest.raises(ComponentError, match=r"plugin ours 1\.0 .* norms 'warm' is registered twice"):
        FAMILIES["norms"].get("cold")
