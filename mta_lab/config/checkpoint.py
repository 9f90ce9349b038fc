"""The start of a run's weights: drawn values, or a Llama that transformers has saved.

Of its folder, config.json and the files of its weights are read here; nothing needs transformers.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.norms.rms import NORM_EPS
from components.positions.llama import positions_of
from components.registry import ComponentError
from mta_lab.errors import UserError
from mta_lab.strict import FaultError, as_json, content

CONFIG, WEIGHTS, TOKENIZER = "config.json", "*.safetensors", "tokenizer.json"
HEX = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """The weights that a run starts from, which are drawn unless it says otherwise."""

    checkpoint: str | None = None
    """a folder of a Llama as transformers saves it: config.json, which says the model's sizes,
    *.safetensors and tokenizer.json, by which the text is imported (`data.tokens`)"""
    content: str = ""
    """16 hex digits over the weights, as an error says them: other weights are refused, and plans
    and tables need no folder"""

    def __post_init__(self) -> None:
        if self.checkpoint is not None and not self.checkpoint.strip():
            raise ValueError(f"checkpoint: got '{self.checkpoint}', allowed: a folder of a Llama")
        if self.content and not (self.checkpoint and HEX.fullmatch(self.content)):
            raise ValueError(f"content: got '{self.content}', allowed: 16 hex digits, beside a checkpoint")

    @property
    def folder(self) -> Path | None:
        """Return the folder; None where there is no checkpoint."""
        return Path(self.checkpoint).expanduser() if self.checkpoint else None


def identified_by(init: InitConfig) -> str:
    """Return 16 hex digits over the weights of a checkpoint; empty where weights are drawn.

    Raises:
        UserError: the folder has none, or others than `init.content` says.
    """
    folder = init.folder
    if folder is None:
        return ""
    if init.content and not folder.exists():
        return init.content
    files = weight_files(folder)
    found = _digest(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))
    if init.content not in ("", found):
        raise UserError(f"init.content: got {init.content}, but the weights in {folder} are {found}; set it to that")
    return found


def weight_files(folder: Path) -> list[Path]:
    """Return the files of the weights; raise UserError where there are none."""
    files = sorted(folder.glob(WEIGHTS))
    if not files:
        raise UserError(
            f"init.checkpoint: {folder} has no {WEIGHTS}; save the model with save_pretrained, which writes them"
        )
    return files


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Return 16 hex digits over the content of files, which have these sizes and times."""
    found = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]


def sizes_of(folder: Path) -> dict[str, Any]:
    """Return the settings of `model` that a Llama's config.json says, but for the context.

    Raises:
        UserError: there is none, it is of no Llama, or of one that the decoder cannot be.
    """
    try:
        found = as_json(content(folder / CONFIG))
    except (OSError, FaultError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"init.checkpoint: {folder} is no folder of a Llama: {CONFIG}: {reason}") from None
    if not isinstance(found, dict) or found.get("model_type") != "llama":
        given = found.get("model_type") if isinstance(found, dict) else found
        raise UserError(f"init.checkpoint: {folder}: {CONFIG}: model_type: got {given!r}, allowed: 'llama'")
    _refuse_others(found, folder)
    heads = found["num_attention_heads"]
    shared = found.get("num_key_value_heads") or heads
    return {
        "width": found["hidden_size"],
        "layers": found["num_hidden_layers"],
        "heads": heads,
        **({"kv_heads": shared} if shared != heads else {}),
        "vocabulary": found["vocab_size"],
        **_positions(found, folder),
        "feed_forward_multiple": found["intermediate_size"],
    }


def _refuse_others(found: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError for a Llama that differs from the decoder in more than sizes."""
    where, whole = f"init.checkpoint: {folder}: {CONFIG}", ("hidden_size", "num_hidden_layers", "num_attention_heads")
    for name in (*whole, "vocab_size", "intermediate_size"):
        if type(found.get(name)) is not int or found[name] < 1:
            raise UserError(f"{where}: {name}: got {found.get(name)!r}, allowed: a whole number, 1 or more")
    width, heads = found["hidden_size"], found["num_attention_heads"]
    same: dict[str, tuple[Any, Any]] = {
        "tie_word_embeddings": (found.get("tie_word_embeddings", False), True),
        "rms_norm_eps": (_decimal(found.get("rms_norm_eps", 1e-6)), NORM_EPS),
        "hidden_act": (found.get("hidden_act", "silu"), "silu"),
        "head_dim": (found.get("head_dim") or width // heads, width // heads),
        "attention_bias": (found.get("attention_bias", False), False),
        "mlp_bias": (found.get("mlp_bias", False), False),
        "sliding_window": (found.get("sliding_window"), None),
    }
    for name, (given, allowed) in same.items():
        if given != allowed:
            raise UserError(f"{where}: {name}: got {given!r}, allowed: {allowed!r}, as the decoder here has it")
    if 3 * found["intermediate_size"] < 8 * width:
        least = f"8/3 of hidden_size ({width}) or more"
        raise UserError(f"{where}: intermediate_size: got {found['intermediate_size']}, allowed: {least}")


def _positions(found: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings of positions; raise UserError where there are none such here."""
    try:
        return positions_of(found)
    except ComponentError as error:
        raise UserError(f"init.checkpoint: {folder}: {CONFIG}: {error}") from None


def _decimal(number: Any) -> Any:
    """Return a number as it was before a file kept it in float32: 1e-05 of 9.999999747e-06."""
    return float(f"{number:.6g}") if isinstance(number, float) else number
