"""Convert settings, records and failures to what MLflow takes: params, tags, metrics, data sets."""

import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

from components.metrics import Scores
from mta_lab.config import plain
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Failure, Record
from mta_lab.tracking.keys import keys, shortened

PARAM, TAG, DATASET = 6000, 8000, 500  # characters that MLflow takes of a value, and of a data set's name
COST = (
    "tokens_per_second",
    "seconds",
    "training_seconds",
    "step_seconds",
    "peak_memory",
    "flops_per_token",
    "parameters",
)


def params(settings: Mapping[str, Any]) -> list[Param]:
    """Return flattened settings as params."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return [Param(key, shortened(texts[name], PARAM, "config.yaml")) for name, key in keys(texts).items()]


def labels(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as tags of a run."""
    return {key: shortened(str(values[name]), TAG, "results/") for name, key in keys(values).items()}


def note(text: str) -> str:
    """Return a table as the note of a run."""
    return shortened(text, TAG, "report.html")


def curves(record: Record, at: int) -> list[Metric]:
    """Return a record's training and validation curves, and its last score by domain."""
    score, last = f"val/{record.quantity}", int(record.validations[-1][0])
    at_the_end = {key: value for name, one in record.further.items() for key, value in score_metrics(name, one).items()}
    return [
        *(Metric("train/loss", loss, at, int(step)) for step, loss in record.losses),
        *(Metric(f"train/{name}", value, at, int(step)) for name, one in record.apart.items() for step, value in one),
        *(Metric(score, value, at, int(step)) for step, value in record.validations),
        *(Metric(key, record.domains[domain], at, last) for domain, key in keys(record.domains, f"{score}/").items()),
        *(Metric(key, value, at, last) for key, value in at_the_end.items()),
        *(Metric(key, value, at, last) for one in record.evaluated.values() for key, value in asked(one).items()),
    ]


def score_metrics(metric: str, scores: Scores) -> dict[str, float]:
    """Return the scores of an evaluation as metrics: each domain's, and their mean."""
    names = keys(scores.domains, f"val/{metric}/")
    return {**{names[domain]: score for domain, score in scores.domains.items()}, f"val/{metric}": scores.mean}


def asked(evaluated: Evaluated) -> dict[str, float]:
    """Return what an evaluation by questions came to as metrics: each group's score, and the mean.

    Settings that are not the defaults are part of their names; a harness's tasks are not, as they
    are the groups. Its standard errors, and the examples before each question, are metrics, too.
    """
    told = {key: value for key, value in evaluated.settings.items() if not (key == "tasks" and evaluated.tasks)}
    settings = ",".join(f"{key}={json.dumps(value)}" for key, value in told.items())
    end = f"/{settings}" if settings else ""
    found: dict[str, float] = {}
    for metric, by in evaluated.metrics.items():
        home = f"asked/{metric}{end}"
        found |= _by_group(home, by.scores) | {keys([home])[home]: by.mean}
        found |= _by_group(f"asked/{metric}_error{end}", by.error)
    shots = {task: float(facts.shots) for task, facts in evaluated.tasks.items()}
    return found | _by_group(f"asked/shots{end}", shots)


def _by_group(home: str, values: Mapping[str, float]) -> dict[str, float]:
    names = keys([f"{home}/{group}" for group in values])
    return {names[f"{home}/{group}"]: value for group, value in values.items()}


def asked_by(evaluated: Evaluated) -> dict[str, str]:
    """Return the versions of a harness and of its tasks as tags; none where no harness asked."""
    if not evaluated.harness:
        return {}
    versions = {f"asked.version.{task}": facts.version for task, facts in evaluated.tasks.items()}
    return labels({"asked.harness": evaluated.harness, **versions})


def costs(record: Record, at: int) -> list[Metric]:
    """Return a record's costs as metrics, and how much its scores are over."""
    facts = {key: getattr(record, key) for key in COST}
    facts |= {key: record.scored[domain] for domain, key in keys(record.scored, "scored/").items()}
    return [Metric(key, float(value), at, 0) for key, value in facts.items() if value is not None]


def attempts(result: Record | Failure) -> dict[str, str]:
    """Return each failed attempt at a run as a tag: `attempt.1` and so on."""
    return {f"attempt.{n}": f"{one.kind}: {one.reason}" for n, one in enumerate(result.attempts, start=1)}


def dataset(config: Any, content_hash: str) -> DatasetInput:
    """Return the text that a run reads, as MLflow's data set."""
    data = plain(config)["data"]
    name = shortened(data.get("tokens") or data["path"] or data["corpus"], DATASET, "config.yaml")
    source = json.dumps({key: data[key] for key in ("corpus", "path", "tokens") if key in data})
    found = Dataset(name=name, digest=content_hash[:16], source_type="mta-lab", source=source)
    return DatasetInput(found, tags=[InputTag("mlflow.data.context", "training")])
