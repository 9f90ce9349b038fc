"""The loss curves of a number of ENGINE; `python -m tests.training.curves` records them anew.

Two tiny runs in float64 by torch's own operations, so that no processor and no kernel shows: one on
text, one on a synthetic task. Neither drops weights, which torch does at other places on other
processors.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mta_lab.config import Layer, resolve, scale_layer
from mta_lab.data import Corpus
from mta_lab.data.corpus import Domain
from mta_lab.identity import ENGINE
from mta_lab.training.run import train
from tests.training.conftest import TINY

FILE = Path(__file__).with_name("curves.json")
COMMAND = "python -m tests.training.curves"
TASKS: Mapping[str, Mapping[str, Any]] = {
    "language": {"seed": 1, "training.schedule": "linear", "training.gradient_clip": 0.5, "data.evaluate": "test"},
    "find_block": {
        "task": {"name": "find_block", "letters": 2, "blocks": 3, "question": 1, "held_out": 40},
        "model.vocabulary": 28,
        "training.schedule": "constant",
        "stream": "other",
    },
}
SETTINGS = {
    "attention": "softmax",  # components are measured on their own
    "attention.impl": "eager",
    "training.compiled": False,
    "training.weight_decay": 0.3,
    "training.beta2": 0.9,
}
Curves = dict[str, list[list[float]]]


def measured() -> Curves:
    """The training losses and validation scores of each run, as (step, value)."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, float64():
        for task, settings in TASKS.items():
            config = resolve([scale_layer("nano"), Layer("tiny", TINY), Layer("curve", {**SETTINGS, **settings})])
            result = train(config, made_up_text(Path(folder), config.model.vocabulary) if config.reads_text else None)
            scores = [(validation.step, validation.score) for validation in result.validations]
            found[task] = [[step, value] for step, value in (*result.losses, *scores)]
    return found


def made_up_text(folder: Path, vocabulary: int) -> Corpus:
    """A corpus of two domains, in token ids of no tokenizer, whose versions learn other words."""
    domains = []
    for seed, name in enumerate(("book", "github")):
        sizes = {"train": 3000, "valid": 1000}
        for split, size in sizes.items():
            ids = np.random.default_rng((seed, size)).integers(vocabulary // 4, size=size, dtype="<u2")
            ids.tofile(folder / f"{name}.{split}.bin")
        counts = {f"{split}_tokens": size for split, size in sizes.items()}
        domains.append(Domain(name=name, proxy="", sources=(), documents=1, train_bytes=1, valid_bytes=1, **counts))
    return Corpus(
        directory=folder, name="made up", content_hash="", vocabulary=vocabulary, end_of_text=0, domains=tuple(domains)
    )


@contextmanager
def float64() -> Iterator[None]:
    """Make float64 what torch computes in where nothing else is said."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


if __name__ == "__main__":
    FILE.write_text(json.dumps({"engine": ENGINE, "curves": measured()}, indent=1) + "\n")
    print(f"{FILE}: the curves of engine {ENGINE}")
