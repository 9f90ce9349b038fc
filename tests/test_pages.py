"""The pages of docs/ say what the code says.

`python -m tests.test_pages` writes the table of allowed imports anew.
"""

import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from components import FAMILIES, Component
from mta_lab.config import in_words
from mta_lab.config.catalogue import lines_of
from mta_lab.sweep import load_sweep
from mta_lab.sweep.keys import FILE, ROW, names
from tests.test_architecture import MAY_IMPORT

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs/architecture.md"
IMPORTS = re.compile(r"(?<=<!-- imports -->\n).*?(?=<!-- end of imports -->)", re.DOTALL)


def imports_table(rules: dict[str, set[str]]) -> str:
    """Return the table of the rooms and what each may import, in the order of the test."""
    lines = [f"| `{room}` | {listed(allowed - {room})} |" for room, allowed in rules.items()]
    return "\n" + "\n".join(["| room | may import |", "|:--|:--|", *lines]) + "\n\n"


PAGES_OF_FAMILIES = ("attention", "feed_forward", "initialisers", "positions", "residual_norms", "training")
OF_FAMILIES = [ROOT / f"docs/{page}.md" for page in PAGES_OF_FAMILIES]
"""pages with tables of components"""
NAMED = r"attention|feed_forward|initialisers|optimizers|positions|residual_norms|schedules"
FAMILY = re.compile(rf"<!-- ({NAMED}) -->\n.*?<!-- end of \1 -->", re.DOTALL)


def family_table(found: re.Match[str]) -> str:
    """Return the table of the family: each variant's name, its line, and its settings."""
    lines = []
    for name in FAMILIES[found[1]].names():
        variant = FAMILIES[found[1]].get(name)
        said, source = (
            inspect.cleandoc(variant.__doc__ or "").partition("\n")[0],
            sys.modules[variant.__module__].__doc__,
        )
        told = {field.name: lines_of(variant)[field.name] for field in fields(variant)}
        settings = "; ".join(f"`{key} = {_written(getattr(variant, key))}` {line}" for key, line in told.items())
        lines.append(f"| `{name}` | {said} {(source or '').splitlines()[0]} | {settings or '-'} |")
    table = "\n".join(["| name | what it is | settings |", "|:--|:--|:--|", *lines])
    return f"<!-- {found[1]} -->\n\n{table}\n\n<!-- end of {found[1]} -->"


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return value.name if isinstance(value, Component) else in_words(value)


@pytest.mark.parametrize("file", OF_FAMILIES, ids=lambda file: file.stem)
def test_the_page_of_a_family_has_what_is_registered(file: Path) -> None:
    page = file.read_text(encoding="utf-8")
    assert FAMILY.sub(family_table, page) == page, "`python -m tests.test_pages` writes the tables anew"


def listed(rooms: Iterable[str]) -> str:
    return ", ".join(f"`{room}`" for room in sorted(rooms)) or "nothing of ours"


def test_the_page_has_the_imports_that_the_architecture_test_allows() -> None:
    found = IMPORTS.search(ARCHITECTURE.read_text(encoding="utf-8"))
    assert found
    assert found[0] == imports_table(MAY_IMPORT), "`python -m tests.test_pages` writes the table anew"


@pytest.mark.parametrize(("way", "most"), [("workers", 8), ("a kernel", 10)])
def test_the_way_of_a_value_is_short_and_leads_through_files_that_exist(way: str, most: int) -> None:
    text = (
        ARCHITECTURE.read_text(encoding="utf-8").partition(f"<!-- the way of {way} -->")[2].partition("<!-- end -->")[0]
    )
    files = re.findall(r"^\d+\. `([^`]+)`", text, re.MULTILINE)
    assert 2 < len(files) <= most
    assert not [file for file in files if not (ROOT / file).is_file()]


def test_every_room_stands_on_the_page() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    folders = [path.parent.name for path in (ROOT / "mta_lab").glob("*/__init__.py")]
    assert not [name for name in folders if f"| `mta_lab/{name}/` |" not in text]


def test_every_key_of_a_sweep_file_is_explained() -> None:
    text = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    assert not [key for key in (*names(FILE), *names(ROW)) if not re.search(rf"^\|[^|]*`{key}\b", text, re.MULTILINE)]


def test_every_sweep_that_ships_is_listed() -> None:
    text = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    assert not [
        file.stem for file in (ROOT / "sweeps").glob("*.yaml") if f"`{file.stem}`" not in text and file.stem != "paper"
    ]


MESSAGES = (
    "another sweep is running here",
    "cannot use checkpoint",
    "MLflow failed; the training goes on",
    "has changed since this launch began",
    "it is tried again",
    "looks ahead: its output at position",
)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_the_page_of_troubles_quotes_is_one_that_users_see(message: str) -> None:
    assert message in (ROOT / "docs/troubles.md").read_text(encoding="utf-8")
    assert any(message in file.read_text(encoding="utf-8") for file in (ROOT / "mta_lab").rglob("*.py"))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
EXAMPLE = re.compile(r"```(yaml|python)\n(.*?)```", re.DOTALL)
EXAMPLES = [(page.name, *block) for page in PAGES for block in EXAMPLE.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example[0]}-{example[1]}")
def test_every_example_on_a_page_works(example: tuple[str, str, str], tmp_path: Path) -> None:
    _, language, text = example
    if language == "python":
        exec(text, {})
    else:
        (tmp_path / "example.yaml").write_text(text, encoding="utf-8")
        assert load_sweep(str(tmp_path / "example.yaml"), scale="nano").rows


PATH = re.compile(r"`((?:mta_lab|components|tests|sweeps|docs|lock)/[\w./*-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = set(PATH.findall(page.read_text(encoding="utf-8")))
    assert not [path for path in named if not list(ROOT.glob(path)) and not (ROOT / path).exists()]


def test_the_image_is_made_of_files_that_are_there() -> None:
    text = (ROOT / "docs/Containerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()]
    installed = re.findall(r"--requirement (\S+)", text)
    assert len(copied) > 5
    assert len(installed) == 2
    assert not [name for name in (*copied, *installed) if not (ROOT / name).exists()]


if __name__ == "__main__":
    page = ARCHITECTURE.read_text(encoding="utf-8")
    for file in OF_FAMILIES:
        file.write_text(FAMILY.sub(family_table, file.read_text(encoding="utf-8")), encoding="utf-8")
    ARCHITECTURE.write_text(IMPORTS.sub(lambda _: imports_table(MAY_IMPORT), page), encoding="utf-8")
