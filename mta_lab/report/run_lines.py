"""Write a table as CSV, one line a run, at full precision."""

from typing import Any

from mta_lab.config import in_words
from mta_lab.report.data import row_document
from mta_lab.report.effects_section import effect_columns
from mta_lab.report.evaluated import evaluated_columns
from mta_lab.report.settings import settings_of
from mta_lab.report.spreadsheet import written
from mta_lab.report.table import Table
from mta_lab.report.tuning import tuned_columns
from mta_lab.sweep.naming import in_settings


def as_csv(table: Table) -> str:
    """Return a table as CSV with one line a run.

    A line has the run's own values, then its row's as `row.NAME`, then its settings as
    `settings.KEY`. A nested value has one column for each key. Published values begin with
    `published`, as in JSON. The main effects of the factors that a row has stand as
    `row.effect.FACTOR`.
    """
    sweep = {"sweep": table.sweep.name, "scale": table.sweep.scale}
    sweep |= {"changed": ", ".join(in_settings(table.sweep.settings)), "metric": table.sweep.metric.name}
    settings = settings_of(table)
    lines: list[dict[str, Any]] = []
    for row in table.rows:
        values = row_document(row)
        status, failed, attempts, runs = (values.pop(name) for name in ("status", "failed", "attempts", "runs"))
        del values["scores"]
        of_row = {**_row_columns(values), **effect_columns(table, row.name)}
        of_row |= tuned_columns(table.sweep.tuning, row.name)
        sets = {
            f"settings.{key}": in_words(value) for key, value in {**settings.common, **settings.own[row.name]}.items()
        }
        for seed in row.measured.seeds:
            run = {
                "row": row.name,
                "seed": seed,
                "status": status[seed],
                "failed": failed.get(seed),
                "attempts": " ".join(attempt["kind"] for attempt in attempts.get(seed, [])),
            }
            own = runs.get(seed, {"score": None})
            asked = evaluated_columns(own.pop("evaluated", {}))
            lines.append({**sweep, **run, **_flat(own), **asked, **of_row, **sets})
    return written(_in_order(lines))


def _row_columns(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row under `row.NAME`; published values keep their names."""
    del values["row"]
    values["references"] = " ".join(values["references"])
    for name in ("interval", "mean_interval", "delta_equal_flops_interval"):
        low, high = values.pop(name) or (None, None)
        values |= {f"{name}_low": low, f"{name}_high": high}
    printed = ("published", "references")
    return {name if name.startswith(printed) else f"row.{name}": value for name, value in _flat(values).items()}


def _in_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines with their columns in one order: the run's, the row's, then the settings."""
    names = dict.fromkeys(name for line in lines for name in line)
    of_row = ("row.", "published", "references")
    ordered = sorted(names, key=lambda name: 2 if name.startswith("settings.") else name.startswith(of_row))
    return [{name: line.get(name) for name in ordered} for line in lines]


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
    return flat
