"""Rows made from the registry: what each component adds, and what its absence costs."""

from typing import Any

from components import FAMILIES
from components.attention import AttentionConfig
from mta_lab.config import plain

PAPERS = "multi_token"
"""the variant whose defaults are the paper's model; these rows of it are printed there"""
PRINTED = {
    "full": {"published": "table5.1"},
    "full - key_query after": {"published": "table5.3"},
}


def leave_one_out(full: AttentionConfig) -> dict[str, dict[str, Any]]:
    """Return the Transformer, with one component at a time; `full`, and without one at a time.

    `full` is the attention that the base of the sweep sets, whose `additions` and `removals` say
    what there is; what lacks something is compared with it.
    """
    rows: dict[str, dict[str, Any]] = {
        "transformer": {"attention": "softmax", "published": "table2.transformer"},
        "full": {},
    }
    for part, settings in full.removals().items():
        lacking = {f"attention.{name}": plain(value) for name, value in settings.items()}
        rows[f"full - {part}"] = {**lacking, "against": "full"}
    for part, settings in full.additions().items():
        alone = {name: plain(value) for name, value in settings.items()}
        rows[f"transformer + {part}"] = {"attention": {"name": full.name, **alone}}
    if full == FAMILIES["attention"].get(PAPERS)():
        for row in PRINTED.keys() & rows.keys():
            rows[row] |= PRINTED[row]
    return rows


def with_parts() -> list[str]:
    """Return the names of the attention variants that say what can be removed from them."""
    variants = {name: FAMILIES["attention"].get(name) for name in FAMILIES["attention"].names()}
    return [name for name, cls in variants.items() if getattr(cls, "removals", None) is not AttentionConfig.removals]


GENERATORS = {"leave_one_out": leave_one_out}
