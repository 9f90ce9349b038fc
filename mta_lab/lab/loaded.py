"""The Python API: a sweep that is loaded once and then planned, run and read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mta_lab.config import in_words, plain
from mta_lab.config.tree import as_tree, from_tree
from mta_lab.errors import UserError, nearest
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.costs import costs_of
from mta_lab.lab.display import Display
from mta_lab.lab.frames import curves_of, plan_frame
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.opened import FinishedRun
from mta_lab.lab.picture import Picture
from mta_lab.lab.plan import Plan
from mta_lab.lab.plans import plan
from mta_lab.lab.retries import clear_failures
from mta_lab.lab.tables import table_of
from mta_lab.lab.texts import known_runs
from mta_lab.lab.trained import record_of_row
from mta_lab.report import Table
from mta_lab.report.figures import FIGURES
from mta_lab.results.records import write_whole
from mta_lab.theme.style import styled
from mta_lab.workspace import RESULTS

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pandas import DataFrame

WIDTH = 7.0  # inches of a figure


def load(
    sweep: str | Path | Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    scale: str = "nano",
    seeds: int | None = None,
    components: Sequence[str | Path] = (),
    quiet: bool = False,
) -> "LoadedSweep":
    """Load a sweep: a shipped one by its name, a YAML file, or such a file's content as a mapping.

    A mapping is a dict or an OmegaConf tree.

    `settings` win over every row's: `{"training.steps": 20}`. `seeds` is how many of each row, by default as the sweep
    says. `components` are files or folders with components of your own. `quiet` keeps the lines on what is done to
    itself. A dict is written to results/sweeps, under its title, so that the command line can go on with it.
    Results are read from and written to the current directory. Raises UserError for a mistake in any of it.
    """
    conditions = Conditions(
        settings=[f"{key}={in_words(value)}" for key, value in from_tree(settings or {}).items()],
        scale=scale,
        seeds=seeds,
        components=tuple(Path(path) for path in components),
    )
    display = Display(say=lambda line: None) if quiet else Display()
    name = str(_written(from_tree(sweep))) if isinstance(sweep, Mapping) else str(sweep)
    return LoadedSweep(plan(name, conditions, display))


class LoadedSweep:
    """A sweep under chosen settings. `mta_lab.load` returns it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __repr__(self) -> str:
        return f"LoadedSweep({self._plan.sweep.heading!r}, rows={self.rows}, seeds={len(self.seeds)})"

    @property
    def rows(self) -> list[str]:
        """Return the names of its rows, in their order."""
        return [row.name for row in self._plan.sweep.rows]

    def config(self, row: str) -> "DictConfig":
        """Return the whole configuration of a row, under the first seed, as an OmegaConf tree that is read-only.

        Raises UserError for a row that the sweep lacks.
        """
        return as_tree(plain(self._plan.sweep.row(row).config))

    @property
    def seeds(self) -> list[int]:
        """Return the seeds of each row."""
        return list(self._plan.sweep.seeds)

    def plan(self, workers: int | None = None) -> "DataFrame":
        """Return a line for each row: its runs that are left, its difference from its baseline, the seconds of a run.

        Seconds come from finished runs like it, on as many `workers`; they are missing where there are none.
        """
        return plan_frame(self._plan.sweep, costs_of(self._plan, workers, None))

    def run(
        self,
        rows: Sequence[str] | None = None,
        *,
        workers: int | None = None,
        trial_timeout: float | None = None,
        retry: bool = False,
        rerun_stale: bool = False,
    ) -> Table:
        """Train what is missing, of `rows` if they are named, and return the table.

        `workers` is the number of processes: by default one a core, or 1 with a GPU. An attempt that takes longer
        than `trial_timeout` seconds is ended. `retry` tries failed runs again, `rerun_stale` those whose only results
        are of other code or text. Interrupted, all that finished is kept, and the same call goes on. Raises UserError
        for a row that the sweep lacks.
        """
        for row in rows or ():
            self._plan.sweep.row(row)
        if retry:
            chosen: Sequence[str | None] = rows or [None]
            for name in chosen:
                clear_failures(self._plan, name)
        launched = launch_plan(replace(self._plan, rerun_stale=rerun_stale), workers, trial_timeout, rows)
        self._plan = replace(launched.plan, rerun_stale=False)
        return launched.table

    def table(self) -> Table:
        """Return the table of what is finished; Jupyter shows it. `to_frame()` makes it a pandas DataFrame."""
        return table_of(self._plan, known_runs(self._plan) or [])

    def curves(self) -> "DataFrame":
        """Return a line for each loss and validation of its finished runs: row, seed, step, measure, value."""
        return curves_of([(row.name, record) for row in self.table().rows for record in row.measured.records.values()])

    def figure(self, name: str = "forest") -> Picture:
        """Draw a figure of the table; Jupyter shows it.

        forest: each row's difference from its baseline, with its interval; heat, curves, gains, pareto, domains.
        Raises UserError for another name, and where too little is finished.
        """
        if name not in FIGURES:
            hint = nearest(name, FIGURES) or ";"
            raise UserError(f"figure: got '{name}'{hint} allowed: {', '.join(FIGURES)}")
        with styled():
            figure = FIGURES[name](self.table(), WIDTH)
        if figure is None:
            raise UserError(f"figure: too little of {self._plan.sweep.name} is finished to draw '{name}'")
        return Picture(figure, f"{self._plan.sweep.heading}: {name}")

    def run_of(self, row: str, seed: int | None = None) -> FinishedRun:
        """Return the finished run of a row under `seed`, by default the first.

        Raises UserError where it is not finished; the message says what trains it.
        """
        return FinishedRun(self._plan, row, record_of_row(self._plan, row, seed))


def _written(content: Mapping[str, Any]) -> Path:
    """Write the content of a sweep file under its title, as JSON, which is YAML; return the file."""
    stem = re.sub(r"\W+", "_", str(content.get("title", "notebook")).lower()).strip("_") or "notebook"
    path = RESULTS / "sweeps" / f"{stem}.yaml"
    try:
        write_whole(path, json.dumps(content, indent=1, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"load: a sweep holds texts, numbers, lists and dicts only: {error}") from None
    return path
