"""Compute the share of each domain in a training batch."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from mta_lab.errors import UserError, nearest

if TYPE_CHECKING:  # imports slowly
    from mta_lab.config import DataConfig
    from mta_lab.data.prepared import Domain

PAPER = {
    "arxiv": 0.023,
    "book": 0.021,
    "c4": 0.081,
    "commoncrawl": 0.726,
    "github": 0.049,
    "stackexchange": 0.05,
    "wikipedia": 0.05,
}
"""shares in the paper's official configs, for the domains of the built-in corpora"""


def shares(data: "DataConfig", domains: Collection[str]) -> dict[str, float]:
    """Return the share of each of these domains, in the order of their names; they sum to 1.

    `data.mixture` gives them on any scale. By default, built-in corpora have the paper's shares, so
    have imported tokens and installed corpora of such domains; all domains of other text have equal
    ones.

    Raises:
        UserError: `data.mixture` names other domains than these.
    """
    of_paper = data.path is None and PAPER.keys() >= set(domains)
    weights = data.mixture or (PAPER if of_paper else dict.fromkeys(domains, 1.0))
    if data.mixture:
        _check_names(data.mixture, sorted(domains))
    total = sum(weights[name] for name in sorted(domains))
    return {name: weights[name] / total for name in sorted(domains)}


def passes(data: "DataConfig", domains: Collection["Domain"], tokens: float) -> dict[str, float]:
    """Return how often each domain's training text is read, on average, among `tokens` tokens."""
    share = shares(data, [domain.name for domain in domains])
    return {domain.name: share[domain.name] * tokens / max(1, domain.train_tokens) for domain in domains}


def _check_names(weights: Collection[str], domains: Collection[str]) -> None:
    known = ", ".join(domains)
    if unknown := sorted(set(weights) - set(domains)):
        hint = nearest(unknown[0], domains) or ";"
        raise UserError(f"data.mixture: no domain named '{unknown[0]}'{hint} the text has: {known}")
    if missing := [name for name in domains if name not in weights]:
        raise UserError(f"data.mixture: no weight for domain '{missing[0]}'; 0 leaves it out of training")
