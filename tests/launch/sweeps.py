"""Sweep files at a size where a run takes a second, and a text for them."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SMALL = {
    "model": {"width": 16, "heads": 2, "layers": 2, "context": 16, "vocabulary": 300, "feed_forward_multiple": 16},
    "training": {"steps": 12, "batch_size": 4, "warmup_steps": 2, "learning_rate": 0.01, "validations": 2},
    "training.validation_tokens": 128,  # held-out text is enough for validation and test
}


def write_sweep(
    file: Path,
    rows: dict[str, dict[str, Any]],
    *,
    seeds: int = 2,
    search: dict[str, Any] | None = None,
    retry: dict[str, int] | None = None,
    components: Sequence[str] = (),
    stages: dict[str, dict[str, Any]] | None = None,
    **base: Any,
) -> Path:
    """Write a sweep of `rows` at the small sizes.

    `base` holds further settings of every row, by section; `components` are files beside it.
    """
    settings: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in SMALL.items()}
    for section, values in base.items():
        settings[section] = {**settings.get(section, {}), **values}
    content: dict[str, Any] = {"title": file.stem.capitalize(), "base": settings, "rows": rows, "seeds": seeds}
    if components:
        content["components"] = [*components]
    if search:
        content["search"] = search
    content |= {key: value for key, value in {"retry": retry, "stages": stages}.items() if value}
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def write_words(folder: Path) -> Path:
    """The folder with a small text of one domain."""
    generator = random.Random(1)
    lines = (" ".join(generator.choices(["red", "old", "cat", "sees", "a", "tree"], k=80)) for _ in range(80))
    (folder / "tales.jsonl").write_text("\n".join(f'{{"text": "{line}"}}' for line in lines))
    return folder
