"""Tiny runs on a small text of two domains: each takes a second or less."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import Layer, RunConfig, resolve, scale_layer
from mta_lab.data import Corpus, prepare

WORDS = ["the", "a", "red", "blue", "old", "cat", "tree", "river", "sees", "finds", "beside", "and"]
TINY = {
    "model": {"width": 16, "heads": 2, "layers": 4, "context": 16, "vocabulary": 300, "feed_forward_multiple": 16},
    "training": {"steps": 12, "batch_size": 4, "warmup_steps": 3, "learning_rate": 0.01},
    "training.validations": 2,
    "training.validation_tokens": 200,  # 12 windows in 3 batches, not a multiple of the context
}
Configure = Callable[..., RunConfig]


def configure_tiny(text: Path, settings: dict[str, Any]) -> RunConfig:
    layers = [scale_layer("nano"), Layer("tiny", {**TINY, "data.path": str(text)}), Layer("test", settings)]
    return resolve(layers)


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains of one-paragraph documents."""
    generator = random.Random(1)
    folder = tmp_path_factory.mktemp("text")
    for domain in ("news", "tales"):
        documents = (" ".join(generator.choices(WORDS, k=60)) for _ in range(60))
        lines = "\n".join(f'{{"text": "{document}"}}' for document in documents)
        (folder / f"{domain}.jsonl").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def configure(text: Path) -> Configure:
    """A tiny configuration with settings of the test's own: `configure({"seed": 1})`."""
    return lambda settings=None: configure_tiny(text, settings or {})


@pytest.fixture(scope="session")
def corpus(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The text, prepared."""
    config = configure_tiny(text, {})
    return prepare(config.data, config.model.vocabulary, tmp_path_factory.mktemp("corpora"))
