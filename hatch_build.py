"""The package's metadata that depend on the place of the build: the README's links, addresses.

An index shows the README without the files beside it. A build by GitHub Actions knows its
repository and commit, so the links lead there. Any other build leaves pictures out and keeps only
the text of a link to a file: no link is dead.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAPER = "https://arxiv.org/abs/2504.00927"
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


class Addresses(MetadataHookInterface):
    """Fill in `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add both to the metadata in place."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = repository_of(os.environ)
        metadata["urls"] = {"Paper": PAPER} | (addresses(repository) if repository else {})
        commit = os.environ.get("GITHUB_SHA", "HEAD")
        metadata["readme"] = {"content-type": "text/markdown", "text": resolved(text, repository, commit)}


def repository_of(environment: Mapping[str, str]) -> str:
    """Return the address of the repository that GitHub Actions builds; elsewhere, an empty text."""
    name = environment.get("GITHUB_REPOSITORY")
    return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else ""


def addresses(repository: str) -> dict[str, str]:
    """Return the addresses that an index lists besides that of the paper."""
    return {
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
    }


def resolved(text: str, repository: str, commit: str) -> str:
    """Return Markdown whose links lead to files at a commit; without one, only their text."""

    def one(link: re.Match[str]) -> str:
        picture, words, target = link.groups()
        if not repository:
            return "" if picture else words
        return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/{commit}/{target})"

    return LINK.sub(one, text)
