"""Set two results side by side: settings that differ, and differences of scores with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from mta_lab.config import flatten, in_words
from mta_lab.report.numbers import delta, or_dash
from mta_lab.report.page import Line, Page, Section, Tone
from mta_lab.report.statistics import by_seed
from mta_lab.report.table import origins, sequences_of
from mta_lab.results.records import Record
from mta_lab.stats.contrasts import LEVEL, Contrast, Question, adjusted
from mta_lab.stats.paired import compare_paired, compare_unpaired
from mta_lab.stats.proportions import Rates, compare_rates
from mta_lab.words import counted, named

Values = Mapping[str, Any]
NO_SETTINGS = ("seed", "scale")
"""of a run: a row has several seeds, and a scale is a label"""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two results: a sweep's, or a single run."""

    name: str
    runs: Mapping[str, Mapping[int, Record]]
    """finished runs by row and seed"""
    settings: Mapping[str, Values]
    """flattened settings by row"""


def diff_page(one: Side, other: Side) -> Page:
    """Return a page on the rows that both have, by name: what differs in settings and scores.

    A difference is of the second from the first, in pairs of a seed where both have the seed and
    the random stream. p is corrected by Holm over the rows. Scores over other text, tokens or tasks
    have no difference, and a note says why.
    """
    rows = [row for row in one.settings if row in other.settings]
    scored = [row for row in rows if one.runs.get(row) and other.runs.get(row)]
    sections = [
        _settings(one, other, rows) if _differing(one, other, rows) else None,
        _scores(one, other, scored) if scored else None,
        _domains(one.runs[rows[0]], other.runs[rows[0]]) if len(rows) == len(scored) == 1 else None,
    ]
    return Page(
        name="diff",
        title=f"A: {one.name}; B: {other.name}",
        sections=tuple(section for section in sections if section),
        notes=tuple(_notes(one, other, rows)),
        extent=f"{counted(len(rows), 'row')} in both, {len(scored)} of them finished in both",
    )


def _differing(one: Side, other: Side, rows: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Return row, setting, and its two values in words, for each setting that differs in a row."""
    found = []
    for row in rows:
        ours, theirs = one.settings[row], other.settings[row]
        for key in dict.fromkeys([*ours, *theirs]):
            if key not in NO_SETTINGS and (key in ours, ours.get(key)) != (key in theirs, theirs.get(key)):
                found.append((row, key, _value(ours, key), _value(theirs, key)))
    return found


def _value(settings: Values, key: str) -> str:
    return in_words(settings[key]) if key in settings else "-"


def _settings(one: Side, other: Side, rows: Sequence[str]) -> Section:
    """Return the settings that differ: in a line where all rows have the same two values."""
    rows_of: dict[tuple[str, ...], list[str]] = {}
    for row, *said in _differing(one, other, rows):
        rows_of.setdefault(tuple(said), []).append(row)
    lines = [
        Line(cells=(said[0], "all" if len(among) == len(rows) > 1 else named(among), *said[1:]))
        for said, among in rows_of.items()
    ]
    return Section(title="Settings that differ", header=("setting", "rows", "A", "B"), lines=tuple(lines))


def _scores(one: Side, other: Side, rows: Sequence[str]) -> Section:
    question = Question(level=LEVEL / len(rows))
    found = {row: _contrast(one.runs[row], other.runs[row], question) for row in rows}
    tested = {row: contrast for row, contrast in found.items() if contrast}
    p_values = dict(zip(tested, adjusted(np.array([one.p for one in tested.values()])).tolist(), strict=True))
    lines = tuple(_line(row, one.runs[row], other.runs[row], found[row], p_values.get(row)) for row in rows)
    header = ("row", "seeds", "A", "B", "B from A", "95 % interval", "p (Holm)")
    return Section(title="Scores", header=header, lines=lines)


def _line(
    row: str, ours: Mapping[int, Record], theirs: Mapping[int, Record], contrast: Contrast | None, p: float | None
) -> Line:
    metrics = [next(iter(runs.values())).metric for runs in (ours, theirs)]
    means = [fmean(record.score for record in runs.values()) for runs in (ours, theirs)]
    scale = metrics[0].scale
    known = not _scored_otherwise(ours, theirs)
    change = metrics[0].difference_if_known(means[1], means[0]) if known else None
    written = (
        f"{metric.words} {metric.written(mean)}{metric.unit}" for metric, mean in zip(metrics, means, strict=True)
    )
    interval = f"[{delta(contrast.low, scale)}, {delta(contrast.high, scale)}]" if contrast else "-"
    change = contrast.delta if contrast else change
    cells = or_dash(change, lambda value: delta(value, scale)), interval, or_dash(p, "{:.3f}".format)
    tone: Tone = "resolved" if p is not None and p < LEVEL else "plain"
    return Line(cells=(row, f"{len(ours)} and {len(theirs)}", *written, *cells), tone=tone)


def _scored_otherwise(ours: Mapping[int, Record], theirs: Mapping[int, Record]) -> list[str]:
    """Return in what the scores of two rows' runs are not over the same, each with its values.

    A perplexity is of a token: over those of another tokenizer or text, it is another quantity.
    """
    found = [_scored_on(record) for record in (*ours.values(), *theirs.values())]
    parts = dict.fromkeys(part for one in found for part in one)
    values = {part: dict.fromkeys(one.get(part, "none") for one in found) for part in parts}
    return [f"{part} ({' and '.join(given)})" for part, given in values.items() if len(given) > 1]


def _scored_on(record: Record) -> dict[str, str]:
    """Return in words what a run's score is over, by part; shares of domains have no part in it."""
    config = record.config
    task = {key: in_words(value) for key, value in flatten({"task": config["task"]}).items()}
    found = {"metric": record.metric.words, **task, "data.evaluate": config["data"]["evaluate"]}
    if record.content_hash:
        found["text"] = record.content_hash[:16]
        found["training.validation_tokens"] = in_words(config["training"]["validation_tokens"])
    return found


def _contrast(of_first: Mapping[int, Record], of_second: Mapping[int, Record], question: Question) -> Contrast | None:
    """Return the difference of the second runs from the first; None where they do not tell.

    They tell nothing where their scores are over other things, or one of the two has fewer than two
    runs.
    """
    if _scored_otherwise(of_first, of_second):
        return None
    ours, theirs = [*of_first.values()], [*of_second.values()]
    if ours[0].metric.is_share:
        first, second = (
            Rates(rates=[one.score for one in runs], sequences=sequences_of(runs)) for runs in (ours, theirs)
        )
        return compare_rates(second, first, question)
    by = [{int(one.config["seed"]): one.score for one in runs} for runs in (ours, theirs)]
    streams = {one.config.get("stream", "") for one in (*ours, *theirs)}
    if len(streams) == 1 and len(by[0].keys() & by[1].keys()) > 1:
        found = compare_paired(by_seed(by), question)
        return found[0][0] if found else None
    a, b = (np.array([*scores.values()]) for scores in by)
    return compare_unpaired(b, a, question)


def _domains(ours: Mapping[int, Record], theirs: Mapping[int, Record]) -> Section | None:
    """Return the mean score by domain; None where the two have none in common to compare."""
    first, *_ = ours.values()
    of_both = [name for name in first.domains if all(name in one.domains for one in (*ours.values(), *theirs.values()))]
    if not of_both or _scored_otherwise(ours, theirs):
        return None
    lines = []
    for name in of_both:
        a, b = (fmean(one.domains[name] for one in runs.values()) for runs in (ours, theirs))
        change = or_dash(first.metric.difference_if_known(b, a), lambda value: delta(value, first.metric.scale))
        lines.append(Line(cells=(name, first.metric.written(a), first.metric.written(b), change)))
    header = ("domain", "A", "B", "B from A")
    return Section(title=f"{first.metric.heading} by domain".capitalize(), header=header, lines=tuple(lines))


def _notes(one: Side, other: Side, rows: Sequence[str]) -> list[str]:
    notes = []
    if not _differing(one, other, rows):
        notes.append("No setting differs.")
    for letter, side, there in (("A", one, other), ("B", other, one)):
        if alone := [row for row in side.settings if row not in there.settings]:
            notes.append(f"Only {letter} has: {named(alone)}.")
    if changed := _changed(one, other, rows):
        notes.append(f"Beside settings, the runs differ in {'; '.join(changed)}.")
    for said, among in _apart(one, other, rows).items():
        notes.append(f"Scores of {named(among)} cannot be compared: they differ in {said}.")
    for letter, side in (("A", one), ("B", other)):
        records = [record for row in rows for record in side.runs.get(row, {}).values()]
        notes += [f"{letter}: {origin}." for origin in origins(records)]
    return notes


def _apart(one: Side, other: Side, rows: Sequence[str]) -> dict[str, list[str]]:
    """Return the rows whose scores cannot be compared, by what these are over in words."""
    found: dict[str, list[str]] = {}
    for row in rows:
        ours, theirs = one.runs.get(row), other.runs.get(row)
        if ours and theirs and (apart := _scored_otherwise(ours, theirs)):
            found.setdefault("; ".join(apart), []).append(row)
    return found


def _changed(one: Side, other: Side, rows: Sequence[str]) -> list[str]:
    """Return the other parts of the identity that differ in some row, each with its values.

    Where settings differ, so may what follows from them: of such a row, the engine alone tells.
    """
    parts = {"engine": "engine", "meaning": "what components compute", "code": "component code"}
    found: dict[str, None] = {}
    for row in rows:
        followed = {part for part in parts if part != "engine" and _differing(one, other, [row])}
        for ours, theirs in zip(one.runs.get(row, {}).values(), other.runs.get(row, {}).values(), strict=False):
            for part, words in parts.items():
                values = [getattr(record.identity, part) for record in (ours, theirs)]
                if values[0] != values[1] and part not in followed:
                    a, b = (str(value)[:16] or "none" for value in values)
                    found[f"{words} ({a} and {b})" if part != "meaning" else words] = None
    return [*found]
