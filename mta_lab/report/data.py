"""Write a table for programs as JSON, at full precision."""

import json
from dataclasses import asdict
from typing import Any

from components.metrics import Metric, Scale
from mta_lab.report.arithmetic import mixed
from mta_lab.report.controls import pairing
from mta_lab.report.cost import COSTS
from mta_lab.report.course_section import courses_document
from mta_lab.report.effects_section import effects_document
from mta_lab.report.evaluated import evaluated_document, questions_document
from mta_lab.report.limits import limits_of
from mta_lab.report.settings import settings_of
from mta_lab.report.sizes import tokens_a_parameter
from mta_lab.report.table import Table, TableRow
from mta_lab.report.tuning import tuning_document
from mta_lab.results.records import Record
from mta_lab.stats.contrasts import MOST_SEEDS

RUN_COSTS = (*COSTS, "seconds")


def as_json(table: Table) -> str:
    """Return everything in the table as JSON; deltas are on the scale named by `delta_unit`."""
    return json.dumps(document(table), indent=2)


def document(table: Table) -> dict[str, Any]:
    """Return the JSON form of a table as a dictionary."""
    sweep, agreement, settings, limits = table.sweep, table.agreement, settings_of(table), limits_of(table)
    paired = pairing(table)
    return {
        "sweep": sweep.name,
        "title": sweep.title,
        "scale": sweep.scale,
        "changed": dict(sweep.settings),
        "file": str(sweep.file) if sweep.file else None,
        "metric": sweep.metric.name,
        **({"evaluate": questions} if (questions := questions_document(sweep)) else {}),
        "delta_unit": sweep.metric.scale,
        "baselines": table.baselines,
        "seeds": list(sweep.seeds),
        "tokens_per_parameter": list(tokens_a_parameter(row.config for row in sweep.rows)),
        "runs": {"finished": table.finished, "planned": len(table.rows) * len(sweep.seeds)},
        "noise": {
            baseline: {
                "deviation": noise.deviation,
                "degrees_of_freedom": noise.degrees,
                "prior_degrees_of_freedom": noise.prior,
                "rows": list(noise.rows),
            }
            for baseline, noise in table.comparison.noise.items()
        },
        "looks": {
            "seeds": [len(seeds) for seeds in sweep.look_seeds],
            "levels": list(table.comparison.levels),
            "used": max((row.measured.looks_used for row in table.rows), default=0),
        },
        "equal_within": sweep.equal_within,
        "effect": table.comparison.terms.effect,
        "detection_limit": limits.typical.limit if limits else None,
        "power": limits.typical.power if limits else None,
        "seeds_needed": _seeds_needed(limits.typical.seeds_needed) if limits else None,
        "agreement": {
            "resolved": agreement.resolved,
            "same_sign": agreement.same_sign,
            "published_better": agreement.published_better,
            "same_sign_chance": agreement.chance,
            "undecided": agreement.undecided,
            "correlation": agreement.correlation and asdict(agreement.correlation),
            "tau": agreement.tau and asdict(agreement.tau),
            "rows": agreement.rows,
        },
        "effects": effects_document(table),
        "courses": courses_document(table),
        "coverage": {"published": agreement.published, "finished": agreement.finished},
        "pairing": asdict(paired) if paired else None,
        "aa": {row.name: row.measured.passed for row in table.rows if row.measured.role == "A/A"},
        "provenance": list(table.provenance),
        "remarks": list(table.remarks),
        "mixed_arithmetic": mixed(table),
        "winners": {row: asdict(found) for row, found in sweep.winners.items()},
        "searched": {row: asdict(found) for row, found in table.searched.items()},
        "tuning": tuning_document(sweep.tuning) if sweep.tuning else None,
        "settings": dict(settings.common),
        "rows": [{**row_document(row), "settings": dict(settings.own[row.name])} for row in table.rows],
    }


def row_document(row: TableRow) -> dict[str, Any]:
    """Return the JSON form of a row: `published...` is the paper's, all else is measured."""
    measured, published, contrast = row.measured, row.published, row.measured.contrast
    equal = measured.equal_flops
    return {
        "row": row.name,
        "role": measured.role,
        "baseline": measured.baseline,
        "status": {seed: measured.status(seed) for seed in measured.seeds},
        "scores": dict(measured.scores),
        "runs": {seed: run_document(record) for seed, record in sorted(measured.records.items())},
        "failed": {seed: failure.reason for seed, failure in measured.failures.items()},
        "attempts": {seed: [asdict(one) for one in attempts] for seed, attempts in measured.attempts.items()},
        "mean": measured.mean,
        "mean_interval": measured.interval,
        "domains": dict(measured.domains),
        "further": dict(measured.further),
        "delta": contrast.delta if contrast else None,
        "interval": [contrast.low, contrast.high] if contrast else None,
        "p": contrast.p if contrast else None,
        "p_holm": measured.p_holm,
        "p_equal": measured.p_equal,
        "resolved": measured.resolved,
        "verdict": measured.verdict,
        "looks_used": measured.looks_used,
        "detection_limit": contrast.limit if contrast else None,
        "power": contrast.power if contrast else None,
        "seeds_needed": _seeds_needed(contrast.seeds_needed) if contrast else None,
        "delta_equal_flops": equal.delta if equal else None,
        "delta_equal_flops_interval": None if equal is None or equal.low is None else [equal.low, equal.high],
        **{name: getattr(measured.cost, name) for name in COSTS},
        "ratios": {name: ratio.value for name, ratio in measured.ratios.items()},
        "ratio_intervals": {
            name: [ratio.low, ratio.high] for name, ratio in measured.ratios.items() if ratio.low is not None
        },
        "impl": measured.implementation or None,
        "published": published.value,
        "published_deviation": published.deviation,
        "published_runs": published.runs,
        "published_delta": published.delta,
        "published_delta_unit": None if published.delta is None else _scale_in_words(published.scale, measured.metric),
        "published_undecided": None if published.delta is None else published.undecided,
        "published_domains": dict(published.domains),
        "published_ratios": dict(published.ratios),
        "references": list(published.references),
    }


def run_document(record: Record) -> dict[str, Any]:
    """Return the JSON form of a finished run: what identifies it, and its own values."""
    return {
        "fingerprint": record.fingerprint,
        "seed": record.config["seed"],
        "text": record.content_hash or None,
        "meaning": record.meaning or None,
        "component_code": record.component_code or None,
        "engine": record.engine,
        "parent": record.parent or None,
        "arithmetic": dict(record.arithmetic),
        "kernels": record.kernels or None,
        "torch": record.provenance.get("torch"),
        "commit": record.provenance.get("commit"),
        "mlflow_run_id": record.run_id or None,
        "score": record.score,
        "domains": dict(record.domains),
        "further": {name: scores.mean for name, scores in record.further.items()},
        "evaluated": evaluated_document(record),
        **{name: getattr(record, name) for name in RUN_COSTS},
        "impl": record.implementation or None,
    }


def summary(table: Table) -> dict[str, dict[str, float]]:
    """Return the numbers of each row that a dashboard shows, named as in the JSON form.

    A number that is not known is left out.
    """
    found = {}
    for row in map(row_document, table.rows):
        low, high = row["interval"] or (None, None)
        numbers = {name: row[name] for name in ("mean", "delta", "p_holm", "published")}
        numbers |= {"delta_low": low, "delta_high": high}
        found[row["row"]] = {name: number for name, number in numbers.items() if number is not None}
    return found


def _scale_in_words(scale: Scale, metric: Metric) -> str:
    """Return the name of a delta's unit; for a difference of scores, that is the metric's name."""
    return metric.name if scale == "absolute" else scale


def _seeds_needed(seeds: int) -> int | str:
    return f">{MOST_SEEDS}" if seeds > MOST_SEEDS else seeds
