"""Rows made from the registry: what each component adds, and what its absence costs."""

from dataclasses import fields
from typing import Any

from components import FAMILIES
from components.attention import PLAIN, AttentionConfig
from components.registry import Component
from mta_lab.config import RunConfig, plain

PAPERS = "multi_token"
"""the variant whose defaults are the paper's model; these rows of it are printed there"""
PRINTED = {
    "full": {"published": "table5.1"},
    "full - key_query after": {"published": "table5.3"},
}


def leave_one_out(base: RunConfig) -> dict[str, dict[str, Any]]:
    """Return the Transformer, with one component at a time; `full`, and without one at a time.

    `full` is the base of the sweep, whose attention says by `additions` and `removals` what there
    is; what lacks something is compared with it. Empty where there is nothing to remove or add.
    """
    full, exchanged = base.attention, exchanges(base)
    if not (full.removals() or full.additions() or exchanged):
        return {}
    rows: dict[str, dict[str, Any]] = {}
    if full.name != PLAIN.name:
        rows["transformer"] = {"attention": PLAIN.name} | ({} if exchanged else {"published": "table2.transformer"})
    rows["full"] = {}
    for part, settings in full.removals().items():
        lacking = {f"attention.{name}": plain(value) for name, value in settings.items()}
        rows[f"full - {part}"] = {**lacking, "against": "full"}
    for choice, setting in exchanged.items():
        rows[f"full - {choice}"] = {**setting, "against": "full"}
    for part, settings in full.additions().items():
        alone = {name: plain(value) for name, value in settings.items()}
        rows[f"transformer + {part}"] = {"attention": {"name": full.name, **alone}}
    if not exchanged and full == FAMILIES["attention"].get(PAPERS)():
        for row in PRINTED.keys() & rows.keys():
            rows[row] |= PRINTED[row]
    return rows


def exchanges(base: RunConfig) -> dict[str, dict[str, str]]:
    """Return the setting that puts the default in the place of each other component chosen.

    These are the components of `model` and `training`, such as `lion optimizer`; one that differs
    from the default in its settings alone is not exchanged.
    """
    found: dict[str, dict[str, str]] = {}
    for section in ("model", "training"):
        settings = getattr(base, section)
        for one in fields(settings):
            chosen = getattr(settings, one.name)
            if isinstance(one.default, Component) and chosen.name != one.default.name:
                found[f"{chosen.name} {one.name}"] = {f"{section}.{one.name}": one.default.name}
    return found


def with_parts() -> list[str]:
    """Return the names of the attention variants that say what can be removed from them."""
    variants = {name: FAMILIES["attention"].get(name) for name in FAMILIES["attention"].names()}
    return [name for name, cls in variants.items() if getattr(cls, "removals", None) is not AttentionConfig.removals]


GENERATORS = {"leave_one_out": leave_one_out}
