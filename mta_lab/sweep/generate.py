"""Rows that come from the registry and not from a file: what each component adds, and what its absence costs."""

from typing import Any

from components.attention import MultiToken
from components.registry import FAMILIES
from mta_lab.config import plain

PLACES = {"pre_softmax": "before", "post_softmax": "after"}
PRINTED = {
    "transformer": {"published": "table2.transformer"},
    "full": {"published": "table5.1"},
    "full - key_query after": {"published": "table5.3"},
}
"""rows that the paper has"""


def leave_one_out(full: MultiToken) -> dict[str, dict[str, Any]]:
    """The Transformer; it and one component of the registry at a time; `full`; it without one of its own at a time.

    `full` is the attention that the base of the sweep sets; what lacks something is compared with it. "before" and
    "after" are meant of the softmax.
    """
    alone: dict[str, Any] = {"name": "multi_token", "pre_softmax": [], "post_softmax": [], "norm": "none"}
    rows: dict[str, dict[str, Any]] = {"transformer": {"attention": "softmax", **PRINTED["transformer"]}, "full": {}}
    for place, where in PLACES.items():
        ops = getattr(full, place)
        for index, op in enumerate(ops):
            rest = [plain(other) for other in (*ops[:index], *ops[index + 1 :])]
            rows[f"full - {op.name} {where}"] = {f"attention.{place}": rest, "against": "full"}
    if full.norm.name != "none":
        rows[f"full - {full.norm.name} norm"] = {"attention.norm": "none", "against": "full"}
    for op_name in FAMILIES["score_ops"].names():
        for place, where in PLACES.items():
            rows[f"transformer + {op_name} {where}"] = {"attention": {**alone, place: [op_name]}}
    for norm in FAMILIES["norms"].names():
        if norm != "none":
            rows[f"transformer + {norm} norm"] = {"attention": {**alone, "norm": norm}}
    if full == MultiToken():  # the paper's
        for row in PRINTED.keys() & rows.keys():
            rows[row] |= PRINTED[row]
    return rows


GENERATORS = {"leave_one_out": leave_one_out}
