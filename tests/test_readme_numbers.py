"""Every number in the README is one that a command prints, a sweep file says, or a block holds.

A measured number that stands in a sentence drifts from what is measured. It belongs into a block
that `mta-lab results fill` writes, or on a page that is linked.
"""

import re
import tomllib
from pathlib import Path

from mta_lab.report.fill import BLOCK, END
from mta_lab.sweep import load_sweep

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NUMBER = re.compile(r"\d[\d.,:x/%-]*")


def facts() -> set[str]:
    """Return the numbers of the project's own description: Python's version, the licence's."""
    return set(NUMBER.findall(f"{PROJECT['requires-python']} {PROJECT['license']}"))


def numbers(text: str) -> list[str]:
    return [found.rstrip(".,:") for found in NUMBER.findall(text)]


def sentences(page: str) -> str:
    """Return a page without generated blocks, code and the targets of links."""
    page = BLOCK.sub("", page)
    page = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->", "", page, flags=re.DOTALL)


def test_no_sentence_of_the_readme_has_a_number_of_its_own() -> None:
    assert set(numbers(sentences(README))) <= facts(), "put it into a block of results, or link the page that has it"


def test_a_number_in_a_sentence_is_found() -> None:
    page = f"It is `3` [of 5](b.md), 7.5 % lower.\n<!-- results: a.json -->\n9 of 9\n{END}\n```sh\nrun 4\n```\n"
    assert numbers(sentences(page)) == ["5", "7.5"]


def test_a_command_with_the_size_of_a_sweep_has_the_sizes_of_its_file() -> None:
    found = re.findall(r"^make sweep-([\w-]+) .*?(\d+) rows x (\d+) seeds", README, flags=re.MULTILINE)
    assert found
    for name, rows, seeds in found:
        sweep = load_sweep(name.replace("-", "_"), scale="nano")
        assert (len(sweep.rows), len(sweep.seeds)) == (int(rows), int(seeds))


def test_no_other_comment_on_a_command_has_a_number() -> None:
    """But for the number of a line in a list: `# 1. see rows`."""
    comments = re.findall(r"^(?:make|mta-lab) .*? # (.*)$", README, flags=re.MULTILINE)
    left = [re.sub(r"^\d\. |\d+ rows x \d+ seeds", "", comment) for comment in comments]
    assert comments
    assert not [comment for comment in left if numbers(comment)]
