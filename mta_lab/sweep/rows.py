"""A sweep: rows, seeds, and the runs that they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from components.evaluations import TextEvaluation
from components.metrics import Metric
from components.tasks import GroupedTask
from mta_lab.config import RunConfig, chain_of, difference, flatten, identified_by, parent_of, throughout
from mta_lab.errors import UserError, nearest
from mta_lab.results.failures import RETRY, Retry
from mta_lab.sweep import naming
from mta_lab.sweep.evidence import EQUAL_WITHIN, look_seeds, read_share
from mta_lab.sweep.search import Search, Winners
from mta_lab.sweep.tune import Tuning
from mta_lab.words import named

START = "start"
"""name of the run that a row's first stage starts from"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table: a configuration, whatever its seed, and the paper's values for it."""

    name: str
    config: RunConfig
    baseline: str
    """the row that its delta is against; a baseline names itself"""
    difference: Mapping[str, Any]
    """flattened settings that its baseline lacks or sets otherwise"""
    published: Mapping[str, Any]
    """what was published for it, by name (`sweeps/paper.yaml`, or the sweep's own file);
    empty where nothing was"""
    references: tuple[str, ...]
    """where it was published: `table5.11` of the paper, or another source"""
    sets: frozenset[str] = frozenset()
    """the keys, dotted, that the row or one of its stages sets or multiplies in the file"""
    stages: tuple[str, ...] = ()
    """the names of its stages, of which it stands for the last"""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a sweep: a row under a seed."""

    row: str
    seed: int
    config: RunConfig
    parent: "PlannedRun | None" = None
    """the run that it starts from, of a stage"""

    @property
    def label(self) -> str:
        """Return the name of the run for people: row and seed."""
        return f"{self.row} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A resolved sweep file."""

    name: str
    title: str
    about: str
    scale: str
    baseline: str
    """the row that rows are compared with where they say no other"""
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    names_seeds: bool = False
    """whether the file names them: then there are no more"""
    looks: tuple[int, ...] = ()
    """the numbers of seeds at which verdicts are given; none: one look at all seeds"""
    equal_within: float = read_share(EQUAL_WITHIN, "equal_within")
    """the largest difference that counts as equal, as a share"""
    evaluations: tuple[TextEvaluation, ...] = ()
    """what finished runs are asked at the end of a launch; rows are compared by the first"""
    retry: Retry = field(default_factory=lambda: RETRY)
    """how often what failed is tried again"""
    search: Search | None = None
    """ranges to search first"""
    winners: Winners = field(default_factory=dict)
    """the values that won, where the search has run;
    before it its rows stand at the lower ends of the ranges"""
    tuning: Tuning | None = None
    """the setting that is tuned row by row, and each row's scores over it; once they are known, the
    rows stand at their best values"""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """why each row of the file that is not in the table is left out:
    its condition, or a search's finding"""
    components: tuple[Path, ...] = ()
    """files with the user's components that the sweep file names"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """what the command line changes in its rows, flattened"""
    file: Path | None = None
    """the user's sweep file; None of a sweep that ships, and of a single run"""

    @property
    def left_out_notes(self) -> list[str]:
        """Return a sentence for each row that is left out."""
        return [f"Row '{row}' is left out: {reason}." for row, reason in self.left_out.items()]

    @property
    def checkpoint_notes(self) -> list[str]:
        """Return a sentence for each checkpoint that runs start from, with what identifies it."""
        starts = dict.fromkeys(chain_of(row.config)[0].init for row in self.rows)
        said = {one.checkpoint: identified_by(one) for one in starts if one.checkpoint}
        return [f"Runs start from the weights in {folder} (init.content: {name})." for folder, name in said.items()]

    @property
    def look_seeds(self) -> tuple[tuple[int, ...], ...]:
        """Return the seeds that each look counts, each look with those of the one before."""
        return look_seeds(self.looks or (len(self.seeds),), self.seeds)

    @property
    def shown_as(self) -> str:
        """Return the name of its files and studies: file, scale and changed settings."""
        return naming.shown_as(self.name, self.scale, self.settings)

    @property
    def conditions(self) -> str:
        """The scale and what the command line changes, for people: `nano, training.steps=2000`."""
        return naming.conditions(self.scale, self.settings)

    @property
    def heading(self) -> str:
        """Its title, and under which conditions it is shown."""
        return f"{self.title} ({self.conditions})"

    @property
    def metric(self) -> Metric:
        """Return what its rows are compared by, one for all of them."""
        return self.evaluations[0].metric if self.evaluations else self.validated_by

    @property
    def validated_by(self) -> Metric:
        """Return what its runs are scored by while they are trained."""
        return self.rows[0].config.task.metric

    @property
    def floors(self) -> Mapping[str, Mapping[str, float]] | None:
        """Return how often guesses are right on each group that a synthetic task holds out.

        None of other tasks.
        """
        task = self.rows[0].config.task
        return task.floors() if isinstance(task, GroupedTask) else None

    def row(self, name: str) -> Row:
        """Return the row of that name; raise UserError with all names and the nearest."""
        rows = {row.name: row for row in self.rows}
        if name not in rows:
            given = f"no row named '{name}'{nearest(name, rows) or ';'}" if name else "row: say which;"
            raise UserError(f"{self.name}: {given} rows: {named(rows)}")
        return rows[name]

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """The flattened settings in which its rows differ."""
        rows = [flatten(row.config) for row in self.rows]
        return tuple(key for key in dict.fromkeys(key for row in rows for key in row) if _differs(key, rows))

    def runs(self) -> list[PlannedRun]:
        """Every row under every seed; a seed is finished over all rows before the next begins."""
        return [self.run(row.name, row.config, seed) for seed in self.seeds for row in self.rows]

    def run(self, row: str, config: RunConfig, seed: int) -> PlannedRun:
        """Return a row's run under a seed, with the runs that lead to it."""
        parent = parent_of(config)
        before = self.run(self._names[parent], parent, seed) if parent else None
        return PlannedRun(row=row, seed=seed, config=throughout(config, seed=seed), parent=before)

    def parent_of(self, row: Row) -> str:
        """Return the name of the run that a row's last stage starts from; empty without stages."""
        parent = parent_of(row.config)
        return self._names[parent] if parent else ""

    @property
    def chains(self) -> list[list[str]]:
        """Return for each row the names of the runs that lead to it, itself the last."""
        return [[self._names[config] for config in chain_of(row.config)] for row in self.rows]

    @cached_property
    def _names(self) -> Mapping[RunConfig, str]:
        """The name of each run, whatever its seed: its row's, or by the first that needs it."""
        names = {row.config: row.name for row in self.rows}
        for row in self.rows:
            for config, stage in zip(chain_of(row.config)[:-1], (START, *row.stages), strict=False):
                names.setdefault(config, f"{row.name}, {stage}")
        return names

    @cached_property
    def staged(self) -> "Sweep":
        """The sweep with the runs that its stages start from as rows of their own, each once."""
        if not any(row.stages for row in self.rows):
            return self
        rows = {row.name: row for row in self.rows}
        found: dict[RunConfig, Row] = {}
        for row in self.rows:
            base = chain_of(rows[row.baseline].config)
            for place, config in enumerate(chain_of(row.config)):
                name = self._names[config]
                like = base[min(place, len(base) - 1)]
                found.setdefault(config, rows[name] if name in rows else _before(name, config, self._names[like], like))
        return replace(self, rows=tuple(found.values()))


def _before(name: str, config: RunConfig, baseline: str, like: RunConfig) -> Row:
    """Return a run that a stage starts from as a row; `like` is its baseline's."""
    differs = difference(config, like)
    return Row(name=name, config=config, baseline=baseline, difference=differs, published={}, references=())


def _differs(key: str, rows: list[dict[str, Any]]) -> bool:
    values = [row[key] for row in rows if key in row]  # where only some rows have it, another setting says so
    return any(value != values[0] for value in values)


def single_run(config: RunConfig, settings: Mapping[str, Any] = {}) -> Sweep:
    """One run as a sweep of one row under one seed.

    `settings` are those that differ from its scale's.
    """
    name = config.attention.name
    row = Row(name=name, config=config, baseline=name, difference={}, published={}, references=())
    return Sweep(
        name="train",
        title="One run",
        about="",
        scale=config.scale,
        baseline=name,
        rows=(row,),
        seeds=(config.seed,),
        settings=settings,
    )
