"""The angles of a Llama's positions in the words of transformers, read and written."""

from collections.abc import Mapping
from typing import Any

from components.hints import fits
from components.positions.base import PositionConfig
from components.positions.rotary import Rotary
from components.positions.rotary_linear import RotaryLinear
from components.positions.rotary_llama3 import RotaryLlama3
from components.positions.rotary_ntk import RotaryNtk
from components.positions.rotary_yarn import RotaryYarn
from components.registry import ComponentError

KINDS: Mapping[str, tuple[type[Rotary], Mapping[str, str]]] = {
    "default": (Rotary, {}),
    "linear": (RotaryLinear, {"factor": "factor"}),
    "llama3": (RotaryLlama3, {"factor": "factor", "low_freq_factor": "low", "high_freq_factor": "high"}),
    "yarn": (
        RotaryYarn,
        {"factor": "factor", "beta_slow": "low", "beta_fast": "high", "attention_factor": "attention_factor"},
    ),
}
"""`rope_type` -> the positions here, and their settings: theirs -> ours"""
TRAINED, BANDED = "original_max_position_embeddings", ("llama3", "yarn")
KNOWN = ("rope_type", "type", "rope_theta")


def positions_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `model` that say the angles of a Llama's config.json.

    Raises ComponentError for angles that no positions here have.
    """
    for name in ("rope_parameters", "rope_scaling"):
        if not isinstance(found.get(name) or {}, dict):
            raise ComponentError(f"{name}: got {found[name]!r}, allowed: a mapping")
    rope: Mapping[str, Any] = found.get("rope_scaling") or found.get("rope_parameters") or {}  # the older name wins
    theta = rope.get("rope_theta", found.get("rope_theta", 10_000.0))
    if not fits(float, theta):
        raise ComponentError(f"rope_theta: got {theta!r}, allowed: a number above 0")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in KINDS:
        raise ComponentError(f"rope_type: got {kind!r}, allowed: {', '.join(KINDS)}")
    variant, names = KINDS[kind]
    others = rope.keys() - {*KNOWN, *names, *((TRAINED,) if kind in BANDED else ())}
    read = others if kind != "default" else others & {"partial_rotary_factor"}
    if unread := sorted(name for name in read if rope[name] is not None):
        said = f"got {rope[unread[0]]!r}, which positions here do not have"
        raise ComponentError(f"{unread[0]}: {said}; allowed beside '{kind}': {', '.join(names) or 'none'}")
    given = {ours: rope[theirs] for theirs, ours in names.items() if rope.get(theirs) is not None}
    if kind in BANDED:
        longest = rope.get(TRAINED) or found.get("max_position_embeddings")
        given["trained_context"] = found.get(TRAINED) or longest
    try:
        positions = variant(theta=theta, **given)
    except ComponentError as error:
        raise ComponentError(f"{kind}: {error}") from None
    missing = {"factor", *(names.values() if kind == "llama3" else ())} - given.keys() if kind != "default" else set()
    if missing:
        raise ComponentError(f"{kind}: {sorted(missing)[0]} is not set; allowed: all of {', '.join(names)}")
    return {"rope_theta": float(theta)} | ({"positions": {"name": positions.name, **given}} if given else {})


def rope_parameters(positions: PositionConfig, *, context: int, head_width: int) -> dict[str, Any] | None:
    """Return positions as transformers writes those of a Llama; None where it has no such ones."""
    if type(positions) is RotaryNtk:  # a larger base, and nothing else
        return {"rope_type": "default", "rope_theta": positions.scaled_theta(head_width)}
    for kind, (variant, names) in KINDS.items():
        if type(positions) is variant:
            settings = {theirs: getattr(positions, ours) for theirs, ours in names.items()}
            if isinstance(positions, RotaryLlama3 | RotaryYarn):
                settings[TRAINED] = positions.trained(context)
            found = {name: value for name, value in settings.items() if value is not None}
            return {"rope_type": kind, "rope_theta": positions.theta, **found}
    return None
