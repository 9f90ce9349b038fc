"""Say how large models are, and how much they are trained on."""

from collections.abc import Iterable
from typing import TypeVar

from mta_lab.config import RunConfig
from mta_lab.model import count_parameters, tokens_per_parameter
from mta_lab.report import numbers

N = TypeVar("N", int, float)


def sizes(configs: Iterable[RunConfig]) -> str:
    """Return parameters, training tokens and tokens a parameter of one or more runs, in words.

    Tokens a parameter tell early learning (nano: 4) from training to about where more text pays as
    much as a larger model (20; Hoffmann et al. 2022, 2203.15556). The paper's 880M model read 120.
    """
    runs = list(configs)
    parameters = _range(numbers.count(value) for value in _ends(map(count_parameters, runs)))
    tokens = _range(numbers.count(value) for value in _ends(run.training_tokens for run in runs))
    ratio = ratio_in_words(*tokens_a_parameter(runs))
    return f"{parameters} parameters, {tokens} training tokens, {ratio} tokens a parameter"


def tokens_a_parameter(configs: Iterable[RunConfig]) -> tuple[float, float]:
    """Return the least and the most training tokens a parameter of one or more runs."""
    return _ends(map(tokens_per_parameter, configs))


def ratio_in_words(least: float, most: float) -> str:
    """Return tokens a parameter: `4.3`, or `21 to 22`."""
    return _range(f"{value:.{int(value < 10)}f}" for value in (least, most))


def _ends(values: Iterable[N]) -> tuple[N, N]:
    found = list(values)
    return min(found), max(found)


def _range(ends: Iterable[str]) -> str:
    return " to ".join(dict.fromkeys(ends))
