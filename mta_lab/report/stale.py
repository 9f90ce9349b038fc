"""Compare a written table with what its sweep would run today, and name the changes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mta_lab.config import RunConfig, fingerprint, flatten, identity_of, in_words
from mta_lab.errors import UserError
from mta_lab.identity import Identity
from mta_lab.report.evaluated import questions_document
from mta_lab.results.records import write_whole
from mta_lab.results.states import OTHERWISE, causes
from mta_lab.strict import FaultError, as_json, built, content
from mta_lab.sweep import PlannedRun, Sweep, load_sweep
from mta_lab.sweep.naming import in_settings
from mta_lab.sweep.search import Found
from mta_lab.sweep.tune import at_values

BEFORE = "measured by earlier code, before runs were identified by what they compute"
SHOWN, MARK = "stale", "**Stale**"  # the key in JSON, and how the line in Markdown begins
TextOf = Callable[[RunConfig], str]


def unknown(config: RunConfig) -> str:
    """Return an empty hash: the text is not on this machine, so it is not compared."""
    return ""


def changed_since_written(table: Mapping[str, Any], text_of: TextOf = unknown) -> list[str]:
    """Return what has changed since a table was written as JSON; empty if its runs are today's.

    `text_of` returns the hash of the text that a run would read today, or an empty string where
    that is not known.
    """
    rows = {row["row"]: row for row in table["rows"]}
    if not all(map(_identified, rows.values())):
        return [BEFORE]
    try:
        sweep = _sweep_today(table)
    except UserError as error:
        return [f"the sweep cannot be read today: {error}"]
    changed = [*_mixed(table), *_tuned_otherwise(table, sweep), *_asked_otherwise(table, sweep)]
    today, found = sweep.runs(), dict.fromkeys(changed)
    for name in rows.keys() ^ {run.row for run in today}:
        found[f"row {name} is {'gone' if name in rows else 'new'}"] = None
    for run in today:
        written = rows.get(run.row, {}).get("runs", {}).get(str(run.seed))
        if written:
            settings = {**table["settings"], **rows[run.row]["settings"]}
            found |= dict.fromkeys(_causes(written, settings, run, text_of))
    return list(found)


def _identified(row: Mapping[str, Any]) -> bool:
    """Return True if each finished run of a row has a fingerprint; earlier code wrote none."""
    runs = row.get("runs")
    return runs is not None and all((written or {}).get("fingerprint") for written in runs.values())


def mark(file: Path, found: list[str]) -> None:
    """Write into a table's JSON and Markdown why it is stale, or remove the mark if it is not.

    Raises:
        UserError: a file cannot be read or written, or is not a table.
    """
    why = "; ".join(found)
    table = {key: value for key, value in read(file).items() if key != SHOWN}
    marked: dict[str, Any] = {}
    for key, value in table.items():
        marked[key] = value
        if key == "scale" and why:
            marked[SHOWN] = why
    write_whole(file, json.dumps(marked, indent=2) + "\n")
    drawn = file.with_suffix(".md")
    if drawn.is_file():
        try:
            lines = content(drawn).decode().split("\n")
        except (OSError, ValueError) as error:
            raise UserError(f"{drawn}: cannot be read: {error}") from None
        heading, *rest = [line for line in lines if not line.startswith(MARK)] or [""]
        rest = rest[1:] if rest[:2] == ["", ""] else rest
        write_whole(
            drawn,
            "\n".join(
                [heading, *(["", f"{MARK}: {why}; not to be compared run by run with today's."] if why else []), *rest]
            ),
        )


def read(file: Path) -> dict[str, Any]:
    """Return the table that `report --format json` wrote into a file.

    Raises:
        UserError: the file cannot be read, or is not a table.
    """
    allowed = "allowed: what `mta-lab report NAME --format json` prints"
    try:
        table: dict[str, Any] = as_json(content(file))
        _refuse_other_types(table)
    except OSError as error:
        raise UserError(f"{file}: cannot be read as a table: {error.strerror}") from None
    except FaultError as error:
        raise UserError(f"{file}: is not a table ({error}); {allowed}") from None
    return table


@dataclass(frozen=True)
class _Run:
    """The fields of a run that are read."""

    fingerprint: str
    meaning: str | None
    component_code: str | None
    text: str | None
    engine: int | None
    torch: str | None = None
    parent: str | None = None


@dataclass(frozen=True)
class _Row:
    """The fields of a row that are read."""

    row: str
    runs: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Table:
    """The fields of a table that are read."""

    sweep: str
    scale: str
    rows: Sequence[Any]
    seeds: Sequence[int]
    file: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    winners: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] | None = None
    mixed_arithmetic: Mapping[str, Any] | None = None
    evaluate: Sequence[Any] = ()


@dataclass(frozen=True)
class _Tuning:
    """The fields of a table's tuning that are read."""

    key: str
    rows: Mapping[str, Any]


@dataclass(frozen=True)
class _Curve:
    """The field of a row's tuning that is read."""

    best: float | None


def _refuse_other_types(table: Any) -> None:
    """Raise FaultError if a field that is read has another type than a report writes."""
    found = built(_Table, _known(_Table, table))
    for number, each in enumerate(found.rows):
        row = built(_Row, _known(_Row, each), f"rows[{number}].")
        for seed, written in (row.runs or {}).items():
            if written is None or (isinstance(written, dict) and written.get("fingerprint") is None):
                continue  # earlier code wrote it
            built(_Run, _known(_Run, written), f"rows[{number}].runs.{seed}.")
            if "settings" not in each.keys() & table.keys():
                raise FaultError(f"rows[{number}]: has runs without settings")
    for name, each in found.winners.items():
        built(Found, each, f"winners.{name}.")
    if found.tuning:
        for name, each in built(_Tuning, _known(_Tuning, found.tuning), "tuning.").rows.items():
            built(_Curve, _known(_Curve, each), f"tuning.rows.{name}.")


def _known(cls: type, value: Any) -> Any:
    """Return the entries of a mapping that are fields of `cls`; a table has many more."""
    names = {one.name for one in fields(cls)}
    return {name: one for name, one in value.items() if name in names} if isinstance(value, dict) else value


def _mixed(table: Mapping[str, Any]) -> list[str]:
    """Return a line if rounding alone tells some runs of the table from others."""
    parts = table.get("mixed_arithmetic") or {}
    return [f"its runs were computed in several arithmetics ({', '.join(parts)})"] if parts else []


def _tuned_otherwise(table: Mapping[str, Any], sweep: Sweep) -> list[str]:
    """Return a line if the sweep tunes another setting today than it did for the table."""
    then = (table.get("tuning") or {}).get("key", "nothing")
    now = sweep.tuning.tune.key if sweep.tuning else "nothing"
    return [] if then == now else [f"what is tuned for each row ({then} then, {now} now)"]


def _asked_otherwise(table: Mapping[str, Any], sweep: Sweep) -> list[str]:
    """Return a line if the sweep asks its runs something else today than it did for the table."""
    return [] if table.get("evaluate", []) == questions_document(sweep) else ["what its runs are asked, or how"]


def _sweep_today(table: Mapping[str, Any]) -> Sweep:
    """Return the table's sweep of today, at the values that its search or tuning had found."""
    sweep = load_sweep(
        table.get("file") or table["sweep"],
        scale=table["scale"],
        settings=in_settings(table.get("changed", {})),
        seeds=len(table["seeds"]),
        winners={row: Found(**found) for row, found in table.get("winners", {}).items()},
    )
    tuning = table.get("tuning")
    if not tuning:
        return sweep
    best = {row: curve["best"] for row, curve in tuning["rows"].items()}
    return at_values(sweep, tuning["key"], best)


def _causes(written: Mapping[str, Any], settings: Mapping[str, Any], run: PlannedRun, text_of: TextOf) -> list[str]:
    """Return the causes for which a run of the table is another run today."""
    then = Identity(
        written["meaning"] or "",
        written["component_code"] or "",
        written["text"] or "",
        written["engine"],
        written.get("parent") or "",
    )

    def as_measured(config: RunConfig) -> RunConfig:
        """Return the run with the precision that the measuring machine chose."""
        if config.training.precision != "auto":
            return config
        return replace(config, training=replace(config.training, precision=settings["training.precision"]))

    def name_of(run: PlannedRun) -> str:
        parent = name_of(run.parent) if run.parent else ""
        return fingerprint(as_measured(run.config), text_of(run.config) or then.text, parent)

    if written["fingerprint"] == name_of(run):
        return []
    config = as_measured(run.config)
    now = identity_of(config, text_of(config) or then.text, name_of(run.parent) if run.parent else "")
    changes = [
        f"{key} of row {run.row} ({in_words(settings.get(key))} then, {in_words(value)} now)"
        for key, value in flatten(config).items()
        if key not in ("seed", "scale", "data.corpus", "data.path", "data.tokens", "data.tokenizer")
        and settings.get(key) != value
    ]
    if changes:  # with other settings, another meaning is no change of the code
        now = replace(now, meaning=then.meaning)
    return [*changes, *causes(then, now, written.get("torch") or "")] or [OTHERWISE]
