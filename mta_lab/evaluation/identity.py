"""Identify an evaluation of a run: its settings, its code, and the text and files that it reads."""

import hashlib
import json
from dataclasses import fields
from typing import Any

from components.evaluations import Evaluation
from components.evaluations.questions import TextEvaluation
from mta_lab.config import RunConfig, plain
from mta_lab.config.identity import code_of
from mta_lab.evaluation.files import files_digest

ASKING = 1
"""raised when questions are asked or scored in another way by the engine"""


def evaluation_fingerprint(evaluation: TextEvaluation, config: RunConfig, content_hash: str) -> str:
    """Return 16 hex digits over all that decides which questions a run is asked, and how.

    Raises:
        UserError: a file that it reads is missing.
    """
    settings = {key: value for key, value in plain(evaluation).items() if key != "path"}
    valid = config.training.validation_tokens if config.data.evaluate == "test" else 0
    parts = {
        "settings": settings | {"context": evaluation.context or config.model.context},
        "code": code_of(evaluation),
        "asking": ASKING,
        "text": [content_hash, valid],
        "files": files_digest(evaluation),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def changed_settings(evaluation: Evaluation) -> dict[str, Any]:
    """Return the settings of an evaluation that are not its defaults."""
    changed = {one.name for one in fields(evaluation) if getattr(evaluation, one.name) != one.default}
    return {name: value for name, value in plain(evaluation).items() if name in changed}
