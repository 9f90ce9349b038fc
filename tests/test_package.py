"""The metadata of the package, for an index and a reference manager."""

import re
import tomllib
from pathlib import Path

import pytest

from mta_lab.config.reader import read_yaml

hatch_build = pytest.importorskip("hatch_build", reason="needs hatchling, which `make setup` installs")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_citation_has_the_version_and_the_licence_of_the_package() -> None:
    citation = read_yaml(ROOT / "CITATION.cff", "CITATION.cff")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["authors"] == PROJECT["authors"]


def test_links_of_the_readme_lead_to_the_repository_that_builds_it() -> None:
    text = "![A page](docs/images/page.png) [more](docs/results.md#a) [paper](https://arxiv.org) [below](#two)"
    assert hatch_build.resolved(text, "https://host/a/b", "c0ffee") == (
        "![A page](https://host/a/b/raw/c0ffee/docs/images/page.png) "
        "[more](https://host/a/b/blob/c0ffee/docs/results.md#a) "
        "[paper](https://arxiv.org) [below](#two)"
    )


def test_a_build_that_knows_no_repository_shows_no_dead_link() -> None:
    assert hatch_build.repository_of({}) == ""
    assert not re.search(r"\]\((?!https?:|#)", hatch_build.resolved(README, "", "HEAD"))


def test_addresses_are_of_the_repository_that_is_built() -> None:
    repository = hatch_build.repository_of({"GITHUB_REPOSITORY": "a/b"})
    assert hatch_build.addresses(repository)["Issues"] == "https://github.com/a/b/issues"


PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text)
    assert not [target for target in targets if not (page.parent / target).exists()]
