"""A small text of the user's own, in two domains."""

import random
from pathlib import Path

import pytest

from mta_lab.config import DataConfig

WORDS = ["the", "a", "red", "blue", "old", "cat", "tree", "river", "sees", "beside", "and", "naïve", "東京"]


def sentences(generator: random.Random, count: int) -> str:
    lines = (" ".join(generator.choices(WORDS, k=12)) for _ in range(count))
    return ". ".join(lines)


@pytest.fixture
def own(tmp_path: Path) -> DataConfig:
    """Two domains of text files, 40 documents each; a paragraph recurs in all of them."""
    generator = random.Random(1)
    refrain = sentences(generator, 3)
    for domain in ("news", "tales"):
        folder = tmp_path / "text" / domain
        folder.mkdir(parents=True)
        for number in range(40):
            paragraphs = [f"Chapter {number}", sentences(generator, 4), refrain, sentences(generator, 4)]
            (folder / f"{number}.txt").write_text("\r\n\r\n".join(paragraphs) + "\n", encoding="utf-8", newline="")
    return DataConfig(path=str(tmp_path / "text"))
