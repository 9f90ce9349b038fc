"""Show what finished runs came to by evaluations that ask questions: means, intervals, floors.

The groups of a synthetic task's held-out sequences are shown alike. Of an evaluation, only results
of one fingerprint stand side by side: the same settings, code, text and files.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Any

from components.metrics import METRICS, Metric, metric_named
from mta_lab.config import in_words, plain
from mta_lab.config.identity import code_of
from mta_lab.report.page import Line, Section
from mta_lab.report.table import Table
from mta_lab.results.evaluated import Evaluated, GroupScores
from mta_lab.results.records import Record
from mta_lab.stats.means import mean_interval
from mta_lab.stats.proportions import Rates, interval, of_one_seed
from mta_lab.sweep import Sweep
from mta_lab.words import counted

LARGEST = 700.0  # nats; exp of more is no number any more
MOST = 6  # columns; more groups are in a table for each first part of their names


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results of all runs by one evaluation under one fingerprint."""

    fingerprint: str
    rows: Mapping[str, Mapping[int, Evaluated]]
    """row -> seed -> result"""

    @property
    def any(self) -> Evaluated:
        """Return one of the results: they share name, settings, groups, floors and notes."""
        return next(one for runs in self.rows.values() for one in runs.values())

    @property
    def title(self) -> str:
        """Return the evaluation's name with the settings that are not its defaults.

        A harness's tasks are left out: they are the groups.
        """
        told = {key: value for key, value in self.any.settings.items() if not (key == "tasks" and self.any.tasks)}
        settings = ", ".join(f"{key} {in_words(value)}" for key, value in told.items())
        return f"{self.any.name} ({settings})" if settings else self.any.name

    @property
    def asked(self) -> tuple[str, ...]:
        """Return what tells it apart from other results: its title and its groups."""
        return self.title, *self.any.tasks


def results_of(table: Table) -> list[Results]:
    """Return the results of a table's runs; of the same name and settings, the newest alone."""
    found: dict[str, dict[str, dict[int, Evaluated]]] = {}
    for row in table.rows:
        for seed, record in sorted(row.measured.records.items()):
            for fingerprint, one in record.evaluated.items():
                if all(metric_named(name) for name in one.metrics):
                    found.setdefault(fingerprint, {}).setdefault(row.name, {})[seed] = one
    every = [Results(fingerprint=fingerprint, rows=rows) for fingerprint, rows in found.items()]
    newest = {one.asked: one for one in sorted(every, key=_last)}
    return [*_of_groups(table), *(newest[asked] for asked in sorted(newest))]


def _of_groups(table: Table) -> list[Results]:
    """Return the groups that a synthetic task holds out as results; none of other tasks."""
    name, floors = table.sweep.rows[0].config.task.name, table.sweep.floors
    if floors is None:
        return []
    rows = {
        row.name: {
            seed: Evaluated(
                name=name,
                settings={},
                metrics={record.quantity: _shares(record)},
                floors=floors,
                finished=str(record.provenance.get("finished", "")),
            )
            for seed, record in sorted(row.measured.records.items())
        }
        for row in table.rows
        if row.measured.records
    }
    return [Results(fingerprint="", rows=rows)] if rows else []


def _shares(record: Record) -> GroupScores:
    ends = {group: of_one_seed(share, record.scored[group]) for group, share in record.domains.items()}
    return GroupScores(
        scores=record.domains,
        low={group: low for group, (low, _) in ends.items()},
        high={group: high for group, (_, high) in ends.items()},
        n=record.scored,
    )


def _last(results: Results) -> str:
    return max(one.finished for runs in results.rows.values() for one in runs.values())


def evaluated_sections(table: Table) -> list[Section]:
    """Return a table for each metric of each evaluation that runs were asked by."""
    found: list[Section] = []
    for results in results_of(table):
        found += [section for name in results.any.metrics for section in _sections(table, results, METRICS[name])]
        found += [_facts(results)] if results.any.tasks else []
    return found


def _sections(table: Table, results: Results, metric: Metric) -> Iterator[Section]:
    groups = [*results.any.metrics[metric.name].scores]
    asked = counted(max(results.any.metrics[metric.name].n.values()), "question")
    title = f"{results.title}: {metric.heading}, up to {asked} each, not tested"
    for part, some in _parts(groups).items():
        heads = [group.removeprefix(f"{part}, ") for group in some]
        mean = ["mean"] if len(some) > 1 else []
        yield Section(
            title=f"{title}; {part}" if part else title,
            header=("row", "seeds", *mean, *heads),
            lines=(*_lines(table, results, metric, some), *_floor_lines(results, metric, some)),
        )


def _facts(results: Results) -> Section:
    """Return how a harness asked each group, and the standard errors of one run."""
    every = [one for seeds in results.rows.values() for one in seeds.values()]
    first = next(iter(results.any.metrics))
    metric = METRICS[first]
    lines = []
    for group, number in results.any.metrics[first].n.items():
        told = [*dict.fromkeys(one.tasks[group] for one in every)]
        shots, versions = ", ".join(str(one.shots) for one in told), ", ".join(one.version for one in told)
        errors = sorted(by.error[group] for one in every if group in (by := one.metrics[first]).error)
        ends = dict.fromkeys(metric.written(error) for error in (*errors[:1], *errors[-1:]))
        lines.append(Line(cells=(group, shots, versions, f"{number:,}", " to ".join(ends) or "-")))
    harnesses = " and ".join(dict.fromkeys(one.harness for one in every))
    header = ("task", "shots", "version", "questions", f"standard error of one run, {metric.unit or metric.words}")
    return Section(title=f"{results.title}: as {harnesses} asked", header=header, lines=tuple(lines))


def _parts(groups: Sequence[str]) -> dict[str, list[str]]:
    """Return the groups in parts that a page is wide enough for, by what their names share.

    Where they share nothing, the parts follow each other.
    """
    if len(groups) <= MOST:
        return {"": [*groups]}
    found: dict[str, list[str]] = {}
    for group in groups:
        found.setdefault(group.rpartition(", ")[0], []).append(group)
    if max(map(len, found.values())) <= MOST:
        return found
    each = math.ceil(len(groups) / math.ceil(len(groups) / MOST))
    parts = [[*groups[start : start + each]] for start in range(0, len(groups), each)]
    return {f"{part[0]} to {part[-1]}": part for part in parts}


def _lines(table: Table, results: Results, metric: Metric, groups: Sequence[str]) -> Iterator[Line]:
    every = {row: [one.metrics[metric.name] for one in seeds.values()] for row, seeds in results.rows.items()}
    for row in table.rows:
        runs = every.get(row.name)
        if not runs:
            continue
        mean = [metric.written(fmean(mean_of(metric, group, runs) for group in groups))]
        cells = [_cell(metric, group, runs, [*every.values()]) for group in groups]
        seeds = f"{len(runs)} of {len(row.measured.seeds)}"
        yield Line(cells=(row.name, seeds, *(mean if len(groups) > 1 else []), *cells))


def _floor_lines(results: Results, metric: Metric, groups: Sequence[str]) -> Iterator[Line]:
    if not metric.is_share:
        return
    for name, by_group in results.any.floors.items():
        if not by_group.keys() >= {*groups}:
            continue
        floors = [by_group[group] for group in groups]
        mean = [metric.written(fmean(floors))] if len(groups) > 1 else []
        yield Line(cells=(f"floor: {name}", "-", *mean, *map(metric.written, floors)), tone="unresolved")


def _cell(metric: Metric, group: str, runs: Sequence[GroupScores], others: Sequence[Sequence[GroupScores]]) -> str:
    low, high = over_seeds(metric, group, runs, others)
    return f"{metric.written(mean_of(metric, group, runs))} [{metric.written(low)}, {metric.written(high)}]"


def mean_of(metric: Metric, group: str, runs: Sequence[GroupScores]) -> float:
    """Return a group's mean over seeds: of ratios, such as perplexities, the geometric one."""
    scores = [run.scores[group] for run in runs]
    return fmean(scores) if metric.is_share else geometric_mean(scores)


def over_seeds(
    metric: Metric, group: str, runs: Sequence[GroupScores], others: Sequence[Sequence[GroupScores]] = ()
) -> tuple[float, float]:
    """Return the 95 % interval of a group's mean over seeds and questions.

    All seeds are asked the same questions, so that more seeds do not make up for few questions: it
    holds the mean interval over the questions of one seed. `others` are all rows of the table,
    whose seeds tell how far apart seeds are.
    """
    if metric.is_share:
        asked = fmean(run.low[group] for run in runs), fmean(run.high[group] for run in runs)
        seeds = interval(_rates(group, runs), [_rates(group, row) for row in others if row]) or asked
        return min(asked[0], seeds[0]), max(asked[1], seeds[1])
    mean = math.log(mean_of(metric, group, runs))
    within = fmean(math.log(run.high[group] / run.low[group]) / 2 for run in runs)
    between = mean_interval([math.log(run.scores[group]) for run in runs]) or (mean, mean)
    reach = math.hypot(within, (between[1] - between[0]) / 2)
    return max(_exp(mean - reach), metric.least), min(_exp(mean + reach), metric.most)


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < LARGEST else math.inf


def _rates(group: str, runs: Sequence[GroupScores]) -> Rates:
    return Rates(rates=[run.scores[group] for run in runs], sequences=min(run.n[group] for run in runs))


def evaluated_notes(table: Table) -> list[str]:
    """Return a note on intervals and floors, and one on what each evaluation left out."""
    found = results_of(table)
    if not found:
        return []
    about = (
        "Questions: [95 %] is over seeds and questions, of one seed over its questions, the model as it is. A floor "
        "is how often a guess without knowledge is right; a score at its floor shows no ability"
    )
    left = [f"{one.title}: {'; '.join(one.any.notes)}" for one in found if one.any.notes]
    return [f"{line}." for line in (about, *left)]


def questions_document(sweep: Sweep) -> list[dict[str, Any]]:
    """Return the JSON form of what a sweep asks its runs: settings and code of each evaluation."""
    return [{**plain(one), "code": code_of(one)} for one in sweep.evaluations]


def evaluated_document(record: Record) -> dict[str, Any]:
    """Return the JSON form of what a run was asked: by fingerprint, then metric, group by group."""
    return {
        fingerprint: {
            "name": one.name,
            "settings": dict(one.settings),
            "metrics": {
                name: {
                    group: {"score": score, "interval": [by.low[group], by.high[group]], "n": by.n[group]}
                    | ({"error": by.error[group]} if group in by.error else {})
                    for group, score in by.scores.items()
                }
                for name, by in one.metrics.items()
            },
            "floors": {name: dict(by_group) for name, by_group in one.floors.items()},
            "notes": list(one.notes),
            **_harness(one),
        }
        for fingerprint, one in record.evaluated.items()
    }


def _harness(one: Evaluated) -> dict[str, Any]:
    """Return the JSON form of who asked and how; empty where no harness did."""
    tasks = {task: {"shots": facts.shots, "version": facts.version} for task, facts in one.tasks.items()}
    return {"harness": one.harness, "tasks": tasks} if one.harness else {}


def evaluated_columns(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a JSON form as columns: `evaluated.NAME.FINGERPRINT.METRIC.GROUP`."""
    return {
        f"evaluated.{one['name']}.{fingerprint}.{metric}.{group}": found["score"]
        for fingerprint, one in document.items()
        for metric, groups in one["metrics"].items()
        for group, found in groups.items()
    }
