"""Ledgers: files of published values, which rows of sweeps refer to.

`sweeps/paper.yaml` is the one of the paper: `table5.11`. Those of other papers are named before a
colon: `differential:table6.transformer` is in `sweeps/ledgers/differential.yaml`, and
`mine.yaml:table1.base` in a file beside the sweep's.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.metrics import PERPLEXITY, Metric
from mta_lab.config import read_yaml
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.files import SHIPPED
from mta_lab.sweep.keys import PUBLISHED, names
from mta_lab.sweep.printed import LARGEST, LOSS, check_mapping, check_number, check_numbers, check_row

LEDGER = "paper"
LEDGERS = SHIPPED / "ledgers"
UNDECIDED, CAUTIONS, CONTENTS, PAPER, SCALE = "undecided", "cautions", "contents", "paper", "scale"
NO_TABLES = (UNDECIDED, CAUTIONS, CONTENTS, PAPER, SCALE)
OWN_ALLOWED = "published: {value: 10.9, source: 'arXiv:...'}, with std and runs where they are known"


@dataclass(frozen=True)
class Ledger:
    """The published values of one paper, as its file has them."""

    values: Mapping[str, Any]

    @property
    def tables(self) -> Mapping[str, Mapping[Any, Mapping[str, Any]]]:
        """Return tables, their rows, and what the paper printed for each, by name."""
        return {table: rows for table, rows in self.values.items() if table not in NO_TABLES}

    @property
    def entries(self) -> Mapping[str, Mapping[str, Any]]:
        """Return every row by its reference, `table5.11`."""
        return {f"{table}.{name}": row for table, rows in self.tables.items() for name, row in rows.items()}

    @property
    def contents(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the paper's tables and figures, by name, with what each `shows`."""
        found: Mapping[str, Mapping[str, Any]] = self.values.get(CONTENTS, {})
        return found

    @property
    def paper(self) -> str:
        """Return how the paper is cited."""
        return str(self.values.get(PAPER, "a paper that its ledger does not name"))

    @property
    def scale(self) -> str:
        """Return the size of the paper's models, in words; empty where the file does not say it."""
        return str(self.values.get(SCALE, ""))

    def printed_name(self, table: str) -> str:
        """Return what the paper calls a table of the ledger: `Table 5` for `table5`."""
        known = (item for item, shown in self.contents.items() if shown.get("values") == table)
        return next(known, table).partition(",")[0]


def published(
    given: Any, metric: Metric, where: str, folder: Path = Path()
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what was published for a row, by name, and where: ledger entries or sources.

    `given` is a reference, a value of the sweep's `metric` with its source, or a list of them; a
    ledger's file is looked for in `folder`. Raises UserError for a row that the ledger lacks, and
    where two give the same.
    """
    several: Sequence[Any] = given if isinstance(given, list) else [given]
    values: dict[str, Any] = {}
    sources: list[str] = []
    for one in several:
        row, source = _own(one, metric, where) if isinstance(one, Mapping) else _referred(one, metric, where, folder)
        if both := sorted(values.keys() & row.keys()):
            raise UserError(
                f"{where}: published: {both[0]} is given by {sources[-1]} and by {source}; name one of them"
            )
        values |= row
        sources.append(source)
    return values, tuple(sources)


def published_value(reference: str, name: str) -> float:
    """One value of the paper's ledger, as `published_value("table9.transformer", "memory_gb")`."""
    return float(_entry(paper_ledger(), reference, reference, "ledger")[name])


def _referred(reference: Any, metric: Metric, where: str, folder: Path) -> tuple[Mapping[str, Any], str]:
    """Return a ledger's values, and the reference as it is found from anywhere."""
    name, colon, entry = str(reference).rpartition(":")
    if name.endswith(".yaml"):
        name = str(folder / name)
    if colon and not (name.endswith(".yaml") or name in _shipped()):
        known = f"allowed: {', '.join(_shipped())}, or a file beside the sweep's, like mine.yaml:table1.base"
        raise UserError(f"{where}: published: got {reference!r}: no ledger is named '{name}'; {known}")
    row = dict(_entry(_named(name), entry, reference, where))
    if metric == PERPLEXITY and LOSS in row:
        row = {metric.name: math.exp(row.pop(LOSS)), **row}
    return row, f"{name}{colon}{entry}"


def _own(given: Mapping[str, Any], metric: Metric, where: str) -> tuple[Mapping[str, Any], str]:
    """Return a value that a sweep file itself gives, and its source.

    A share is written as one: 0.1 and not 10 %.
    """
    for key in given:
        if key not in names(PUBLISHED):
            hint = nearest(str(key), names(PUBLISHED)) or ";"
            raise UserError(f"{where}: published.{key}: no such key{hint} allowed: {OWN_ALLOWED}")
    source, runs = given.get("source"), given.get("runs", 1)
    if not isinstance(source, str) or not source.strip():
        raise UserError(f"{where}: published.source: got {source!r}; a value needs its source; allowed: {OWN_ALLOWED}")
    if not isinstance(runs, int) or isinstance(runs, bool) or runs < 1:
        raise UserError(f"{where}: published.runs: got {runs!r}, allowed: 1 or more")
    least, most = metric.least, min(metric.most, LARGEST)
    limits = {"value": (least, most), "std": (0.0, most)}
    for key in limits.keys() & {"value", *given}:
        check_number(given.get(key), *limits[key], f"{where}: published.{key}")
    return {metric.name: given["value"], **{key: given[key] for key in ("std", "runs") if key in given}}, source.strip()


def _entry(ledger: Ledger, entry: str, reference: Any, where: str) -> Mapping[str, Any]:
    rows = ledger.entries
    if not isinstance(reference, str) or entry not in rows:
        hint = nearest(entry, rows) or ";"
        allowed = "a row of the ledger, like table5.11, or {value: 10.9, source: 'arXiv:...'}, or a list of them"
        raise UserError(f"{where}: published: got {reference!r}{hint} allowed: {allowed}")
    return rows[entry]


def entry_of(reference: str) -> tuple[Ledger, str] | None:
    """Return the ledger of a row's reference and its entry there; None of any other source."""
    name, _, entry = reference.rpartition(":")
    if name and not name.endswith(".yaml") and name not in _shipped():
        return None
    ledger = _named(name)
    return (ledger, entry) if entry in ledger.entries else None


def noise(references: Collection[str], metric: Metric) -> float:
    """Return the difference up to which two printed scores are undecided in their paper itself."""
    ledgers = [found[0] for reference in references if (found := entry_of(reference))]
    return max((float(one.values.get(UNDECIDED, {}).get(metric.name, 0.0)) for one in ledgers), default=0.0)


def cautions(references: Collection[str]) -> list[str]:
    """Return what a reader of these values has to know, a line for each of the ledgers' tables."""
    lines: dict[str, None] = {}
    for found in map(entry_of, references):
        if found:
            ledger, table = found[0], found[1].partition(".")[0]
            if said := ledger.values.get(CAUTIONS, {}).get(table):
                lines[f"{ledger.printed_name(table)}: {said}"] = None
    return [*lines]


def paper_ledger() -> Ledger:
    """Return the ledger of the paper."""
    return _named("")


def ledger() -> Mapping[str, Mapping[Any, Mapping[str, Any]]]:
    """Tables of the paper, their rows, and what it printed for each, by name."""
    return paper_ledger().tables


def contents() -> Mapping[str, Mapping[str, Any]]:
    """Return the paper's tables and figures, by name.

    Each says what it `shows`, where its `values` are and which `sweeps` reproduce it.
    """
    return paper_ledger().contents


def _shipped() -> list[str]:
    return sorted(path.name.removesuffix(".yaml") for path in LEDGERS.iterdir() if path.name.endswith(".yaml"))


def _named(name: str) -> Ledger:
    """Return the paper's ledger for no name, one that ships, or the one in a file."""
    if name.endswith(".yaml"):
        if not Path(name).is_file():
            raise UserError(f"published: {name}: no such file; a ledger stands beside the sweep's file")
        return _of_file(Path(name), Path(name).stat().st_mtime_ns)
    path = LEDGERS / f"{name}.yaml" if name else SHIPPED / f"{LEDGER}.yaml"
    return _read(Path(str(path)), f"sweeps/{'ledgers/' if name else ''}{name or LEDGER}.yaml")


@cache
def _of_file(path: Path, written: int) -> Ledger:
    """Return the ledger in a user's file; `written` tells one version of it from the next."""
    found = Ledger(read_yaml(path, str(path)))
    rows = [
        row for table in found.tables.values() for row in (table.values() if isinstance(table, Mapping) else [None])
    ]
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        allowed = "tables of rows, each row a mapping like {perplexity: 10.9}, and paper: how it is cited"
        raise UserError(f"{path}: is no ledger; allowed: {allowed}")
    for entry, row in found.entries.items():
        check_row(row, f"{path}: {entry}")
    check_numbers(found.values.get(UNDECIDED, {}), f"{path}: {UNDECIDED}")
    check_mapping(found.values.get(CAUTIONS, {}), f"{path}: {CAUTIONS}", "tables to sentences")
    for name, shown in check_mapping(found.values.get(CONTENTS, {}), f"{path}: {CONTENTS}", "tables to facts").items():
        check_mapping(shown, f"{path}: {CONTENTS}.{name}", "shows and values")
    return found


@cache
def _read(path: Path, source: str) -> Ledger:
    return Ledger(read_yaml(path, source))
