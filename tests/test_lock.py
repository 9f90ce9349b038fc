"""The locked releases: what pyproject.toml asks for, by hash, for users and developers alike."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("user", "developer", "ray", "hf", "lm-eval")
EXTRAS = {"user": (), "developer": ("dev", "docs"), "ray": ("ray",), "hf": ("hf",), "lm-eval": ("lm-eval",)}


def locked(name: str) -> dict[str, list[Requirement]]:
    """Return a lock's requirements by package; several where Python versions differ."""
    text = re.sub(r" \\\n\s+--hash=\S+", "", (ROOT / "lock" / f"{name}.txt").read_text(encoding="utf-8"))
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def wanted(name: str) -> list[str]:
    """Return what pyproject.toml asks for, of those who install a lock."""
    asked = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["build"]
    extras = PROJECT["project"]["optional-dependencies"]
    return asked + [text for extra in EXTRAS[name] for text in extras[extra]]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_a_release_of_all_that_is_asked_for_but_torch(name):
    releases = locked(name)
    for text in wanted(name):
        asked = Requirement(text)
        if asked.name != "torch":
            found = releases[canonicalize_name(asked.name)]
            assert all(asked.specifier.contains(str(one.specifier).removeprefix("==")) for one in found), text


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_release_has_a_hash_and_one_exact_version(name):
    for block in re.split(r"\n(?=\S)", (ROOT / "lock" / f"{name}.txt").read_text(encoding="utf-8")):
        if not block.startswith("#"):
            assert "==" in block.splitlines()[0]
            assert "--hash=sha256:" in block


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_leaves_torch_and_the_libraries_of_its_builds_to_the_index_that_serves_it(name):
    assert not [package for package in locked(name) if re.match(r"(torch$|triton$|nvidia-|cuda-)", package)]


@pytest.mark.parametrize("name", ["developer", "ray", "hf", "lm-eval"])
def test_whoever_has_more_has_the_releases_of_users(name):
    user, more = locked("user"), locked(name)
    assert {package: [one.specifier for one in more[package]] for package in user} == {
        package: [one.specifier for one in found] for package, found in user.items()
    }


def test_users_have_no_tools_of_developers_and_neither_has_an_extra():
    user, developer = locked("user"), locked("developer")
    assert not {"ray", "transformers"} & developer.keys()
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & user.keys()


def test_torch_is_locked_by_its_version_in_the_range_that_is_asked_for():
    torch = Requirement((ROOT / "lock" / "torch.txt").read_text(encoding="utf-8").strip())
    asked = next(Requirement(text) for text in wanted("user") if text.startswith("torch"))
    assert asked.specifier.contains(str(torch.specifier).removeprefix("=="))
