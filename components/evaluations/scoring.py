"""Scores of a model on held-out data: what evaluations measure on its batches, domain by domain."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from components.evaluations.base import Evaluation, Predicted
from components.metrics import Scores
from components.registry import ComponentError


class Scoring:
    """Means of what evaluations measure on batches, and the scores made from them."""

    def __init__(self, evaluations: Sequence[Evaluation], domains: Sequence[str]) -> None:
        self._means = [(evaluation, _Means(domains)) for evaluation in evaluations]

    def add(self, domain: int, predicted: Predicted) -> None:
        """Add what each evaluation measures on a batch of a domain, counted from 0.

        Raises FloatingPointError where a logit is not finite.
        """
        if not predicted.logits.isfinite().all():
            raise FloatingPointError("the validation logits are not finite")
        for evaluation, means in self._means:
            means.add(domain, evaluation.values(predicted))

    def totals(self) -> list[Tensor]:
        """Return the sums and counts so far, themselves.

        Where several processes score a share each, set them to their sum over the processes.
        """
        return [total for _, means in self._means for total in means.totals]

    def taken(self) -> dict[str, Scores]:
        """Return the scores of all batches so far, by metric, and start anew.

        Metrics are in the order of the evaluations.

        Raises FloatingPointError where a score is no finite number, and ComponentError for a domain
        of which nothing was scored.
        """
        return {evaluation.metric.name: _scores(evaluation, means) for evaluation, means in self._means}


def _scores(evaluation: Evaluation, means: "_Means") -> Scores:
    found, scored = means.taken()
    words = evaluation.metric.words
    if empty := [domain for domain, count in scored.items() if not count]:
        raise ComponentError(f"{words}: domain '{empty[0]}' holds nothing that is scored, and so has no score")
    domains = {domain: evaluation.score(mean) for domain, mean in found.items()}
    if not all(map(math.isfinite, domains.values())):
        raise FloatingPointError(f"no finite validation {words} of means {[*found.values()]}")
    return Scores(domains=domains, scored=scored)


class _Means:
    """Means of an evaluation's values, a domain each."""

    def __init__(self, domains: Sequence[str]) -> None:
        self._domains = tuple(domains)
        self._sums = torch.zeros(len(self._domains), dtype=torch.float64)
        self._counts = torch.zeros(len(self._domains), dtype=torch.int64)

    @property
    def totals(self) -> tuple[Tensor, Tensor]:
        """Return the sums and the counts."""
        return self._sums, self._counts

    def add(self, domain: int, values: Tensor) -> None:
        """Add the values of a batch of a domain."""
        self._sums[domain] += values.double().sum().cpu()
        self._counts[domain] += values.numel()

    def taken(self) -> tuple[dict[str, float], dict[str, int]]:
        """Return the mean and the number of values by domain, and start anew."""
        means, counts = (self._sums / self._counts).tolist(), self._counts.tolist()
        self._sums.zero_()
        self._counts.zero_()
        return dict(zip(self._domains, means, strict=True)), dict(zip(self._domains, counts, strict=True))
