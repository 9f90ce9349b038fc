"""Take the harness's scores over: with standard errors, and intervals as of other evaluations."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from components.metrics import Metric
from mta_lab.evaluation.scores import LARGEST
from mta_lab.results.evaluated import GroupScores
from mta_lab.stats.proportions import of_one_seed

REACH = 1.96  # standard errors on both sides of a score: 95 % of a normal distribution
PLAIN = "none"  # the harness's name for answers as they are, where it also filters them
Values = Mapping[str, Any]
"""what the harness tells of a task: `acc,none`, `acc_stderr,none`, `sample_len` and so on"""


def scores_of(measure: str, metric: Metric, by_task: Mapping[str, Values]) -> GroupScores | None:
    """Return the scores by one of the harness's measures, by task; None where no task has it."""
    keys = {task: key for task, values in by_task.items() if (key := _key(measure, values))}
    if not keys:
        return None
    scores = {task: float(by_task[task][key]) for task, key in keys.items()}
    given = {task: by_task[task].get(key.replace(",", "_stderr,", 1)) for task, key in keys.items()}
    error = {task: float(found) for task, found in given.items() if isinstance(found, float | int)}
    n = {task: int(by_task[task]["sample_len"]) for task in keys}
    ends = {task: _interval(metric, score, error.get(task), n[task]) for task, score in scores.items()}
    return GroupScores(
        scores=scores,
        low={task: low for task, (low, _) in ends.items()},
        high={task: high for task, (_, high) in ends.items()},
        n=n,
        error=error,
    )


def left_out(counted: Mapping[str, Metric], by_task: Mapping[str, Values]) -> list[str]:
    """Return the harness's measures that are not taken over."""
    found = {key.partition(",")[0] for values in by_task.values() for key in values if "," in key}
    return sorted(name for name in found if name not in counted and not name.endswith("_stderr"))


def chance(tasks: Sequence[Any]) -> float | None:
    """Return how often any answer at random is right; None where a task has no set of answers."""
    if any(task.OUTPUT_TYPE != "multiple_choice" for task in tasks):
        return None
    asked = [(task, one.doc) for task in tasks for one in task.instances if one.idx == 0]
    return fmean(1 / len(task.doc_to_choice(doc)) for task, doc in asked)


def _key(measure: str, values: Values) -> str:
    """Return the key of a measure, of answers as they are if there are several; empty if none."""
    keys = [key for key in values if key.partition(",")[0] == measure]
    plain = f"{measure},{PLAIN}"
    return plain if plain in keys else next(iter(keys), "")


def _interval(metric: Metric, score: float, error: float | None, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a score: Wilson's of a share, of others from the error."""
    if not math.isfinite(score):
        raise FloatingPointError(f"no finite {metric.words}: {score}")
    if metric.is_share:
        return of_one_seed(score, n)
    if error is None:
        return metric.least, math.exp(LARGEST)
    reach = math.exp(REACH * error / score)
    return max(score / reach, metric.least), min(score * reach, math.exp(LARGEST))
