"""Make a view of an experiment on MLflow's pages: its charts, its columns, its runs by row.

MLflow (3.16 and newer) keeps a named view as a tag of the experiment, in the form that its page
writes, and opens it by the key in the tag's name. An older version shows its plain page.
"""

import base64
import json
import zlib
from collections.abc import Collection
from typing import Any

from mlflow import MlflowClient

from components.metrics import Metric
from mta_lab.tracking.keys import keys

KEY = "mta-lab"
VIEW_TAG = f"mlflow.sharedViewState.{KEY}"
LONGEST = 20_000  # characters that MLflow's page takes
CURVE = {"xAxisKey": "step", "xAxisScaleType": "linear", "lineSmoothness": 0, "yAxisKey": "metric", "range": {}}
FILTER = "tags.row LIKE '%' AND attributes.status = 'FINISHED' AND tags.settings LIKE '%' AND tags.stale IS NULL"
"""the runs that the table counts; `settings` is missing in what earlier versions wrote"""
COLUMNS = 12  # of params; the page's own list has all


def view(name: str, metric: Metric, params: Collection[str]) -> str:
    """Return the value of the tag for the experiment `name`, with runs that differ in `params`."""
    packed = base64.b64encode(zlib.compress(json.dumps(_state(metric, params)).encode(), 9)).decode()
    title = f"{name}: {metric.words} by row"
    text = json.dumps({"name": title, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})
    assert len(text) <= LONGEST
    return text


def addresses(store: str, server: str) -> list[tuple[str, str]]:
    """Return (name, address on the MLflow pages at `server`) of each experiment that has a view."""
    known = MlflowClient(tracking_uri=store).search_experiments(order_by=["name ASC"])
    query = f"compareRunsMode=CHART&viewStateShareKey={KEY}"
    return [
        (found.name, f"{server}/#/experiments/{found.experiment_id}/runs?{query}")
        for found in known
        if VIEW_TAG in found.tags
    ]


def _state(metric: Metric, params: Collection[str]) -> dict[str, Any]:
    score, words = f"val/{metric.name}", metric.words
    scale = "linear" if metric.is_share else "log"
    shown = (score, "tokens_per_second", "training_seconds", "peak_memory", "parameters")
    section = {"uuid": KEY, "name": "The sweep", "display": True, "isReordered": True, "isGenerated": False}
    return {
        "searchFilter": FILTER,
        "orderByKey": f"metrics.`{score}`",
        "orderByAsc": not metric.higher_is_better,
        "selectedColumns": [
            *(f"tags.`{tag}`" for tag in ("row", "seed")),
            *(f"metrics.`{name}`" for name in shown),
            *(f"params.`{key}`" for param, key in keys(list(params)[:COLUMNS]).items() if param != "seed"),
        ],
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "row"}]},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [
            _chart("BAR", f"{words} by row", metricKey=score),
            _chart("LINE", "learning curves", metricKey=score, scaleType=scale, **CURVE),
            _chart("SCATTER", f"{words} against tokens/s", xaxis=_metric("tokens_per_second"), yaxis=_metric(score)),
            _chart("LINE", "training loss", metricKey="train/loss", scaleType="linear", **CURVE),
        ],
        "compareRunSections": [section],
        "isAccordionReordered": True,
    }


def _chart(kind: str, title: str, **settings: Any) -> dict[str, Any]:
    place = {"uuid": title, "metricSectionId": KEY, "deleted": False, "isGenerated": False}
    return {"type": kind, "displayName": title, "runsCountToCompare": 100, **place, **settings}


def _metric(key: str) -> dict[str, str]:
    return {"key": key, "type": "METRIC"}
