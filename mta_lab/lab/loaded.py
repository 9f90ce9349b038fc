"""The Python API: load a sweep, then plan, run and read it."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing import current_process
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mta_lab.config import in_words, plain
from mta_lab.config.tree import as_tree, from_tree
from mta_lab.errors import UserError, nearest
from mta_lab.executors.local.executor import UNGUARDED
from mta_lab.executors.local.worker import WORKER
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.costs import costs_of
from mta_lab.lab.display import Display
from mta_lab.lab.frames import curves_of, plan_frame
from mta_lab.lab.launchers import launcher_of
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.on_device import costs_on, device_of
from mta_lab.lab.opened import FinishedRun
from mta_lab.lab.picture import Picture
from mta_lab.lab.placing import gpus_of
from mta_lab.lab.plan import Plan
from mta_lab.lab.plans import every_stage, plan
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

WIDTH = 7.0  # inches, of figures


def load(
    sweep: str | Path | Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    scale: str = "nano",
    seeds: int | None = None,
    components: str | Path | Sequence[str | Path] = (),
    quiet: bool = False,
) -> "LoadedSweep":
    """Load a sweep, for a notebook or a script.

    Results are read from and written to the current directory. A sweep given as a dict is written
    to results/sweeps, in a file named by its title, so that the command line can use it.

    Args:
        sweep: the name of a sweep that ships, a YAML file, or the content of such a file as a dict
            or an OmegaConf tree.
        settings: settings of all rows, which replace the rows' own: `{"training.steps": 20}`.
        scale: a named size of model, text and training, like `nano` or `small`.
        seeds: number of seeds of each row; None for the sweep's own number.
        components: files or folders with components of your own, or one of these.
        quiet: True to print no lines on progress.

    Raises:
        UserError: any of these is wrong; the message names the key and what is allowed.
    """
    if not isinstance(sweep, str | Path | Mapping):
        raise UserError(
            f"load: got a {type(sweep).__name__}, allowed: a sweep's name, its file, or its content as a dict"
        )
    if not isinstance(settings, Mapping | None):
        raise UserError(f"settings: got a {type(settings).__name__}, allowed: a dict, like {{'training.steps': 20}}")
    conditions = Conditions(
        settings=[f"{key}={in_words(value)}" for key, value in from_tree(settings or {}).items()],
        scale=scale,
        seeds=seeds,
        components=tuple(Path(path) for path in ([components] if isinstance(components, str | Path) else components)),
    )
    display = Display(say=lambda line: None) if quiet else Display()
    name = str(_written(from_tree(sweep))) if isinstance(sweep, Mapping) else str(sweep)
    return LoadedSweep(plan(name, conditions, display))


class LoadedSweep:
    """A sweep under chosen settings, as `mta_lab.load` returns it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __repr__(self) -> str:
        return f"LoadedSweep({self._plan.sweep.heading!r}, rows={self.rows}, seeds={len(self.seeds)})"

    @property
    def rows(self) -> list[str]:
        """Return the names of its rows, in order."""
        return [row.name for row in self._plan.sweep.rows]

    def config(self, row: str) -> "DictConfig":
        """Return a row's whole configuration under the first seed, as a read-only OmegaConf tree.

        Raises:
            UserError: the sweep has no such row.
        """
        return as_tree(plain(self._plan.sweep.row(row).config))

    @property
    def seeds(self) -> list[int]:
        """Return the seeds under which each row is trained."""
        return list(self._plan.sweep.seeds)

    def plan(self, workers: int | None = None, device: str | None = None) -> "DataFrame":
        """Return one line a row: what is left, its difference from its baseline, seconds a run.

        Args:
            workers: number of processes that the seconds are for; None for the number of a launch.
            device: a GPU that need not be here: "h100" or another shipped name, facts like
                "memory=80GB,bf16=990e12", or a YAML file of these.

        Returns:
            A DataFrame indexed by row. `seconds_a_run` comes from finished runs of the same size,
            and is missing where there are none; for a `device`, it comes from arithmetic.

        Raises:
            UserError: the device is not known, its description says too little, or workers are
                given beside it.
        """
        _check_number("workers", workers, int)
        if device is not None:
            if workers is not None:
                raise UserError("workers: is of this machine, and device describes another; give one of them")
            return plan_frame(self._plan.sweep, costs_on(self._plan, device_of(device)))
        return plan_frame(self._plan.sweep, costs_of(self._plan, workers, None))

    def run(
        self,
        rows: Sequence[str] | None = None,
        *,
        workers: int | None = None,
        devices: str | None = None,
        devices_per_run: int = 1,
        trial_timeout: float | None = None,
        retry: bool = False,
        rerun_stale: bool = False,
    ) -> Table:
        """Train what is missing, and return the table.

        When interrupted, it keeps all that is finished and the checkpoints of the rest; the same
        call goes on from there.

        Args:
            rows: names of the rows to train; None for all.
            workers: number of processes; None for as many as the GPUs can take, or else one for
                each core.
            devices: the GPUs that workers have in turn, like "0,1"; None for all that are visible.
            devices_per_run: how many of them train a run together; on the CPU, how many processes.
            trial_timeout: seconds after which an attempt is ended; None for no limit.
            retry: True to try failed runs again.
            rerun_stale: True to train stale runs again: those whose only results are of other code
                or text.

        Raises:
            UserError: the sweep has no such row, there is no such GPU, so many cannot train a run
                together, or something it needs is missing.
        """
        if current_process().name.startswith(WORKER):
            raise UserError(f"run: {UNGUARDED}")
        _check_number("workers", workers, int)
        _check_number("trial_timeout", trial_timeout, float)
        _check_number("devices_per_run", devices_per_run, int)
        where = launcher_of(workers=workers)
        found = gpus_of(devices, where)
        for row in rows or ():
            self._plan.sweep.row(row)
        if retry:
            chosen: Sequence[str | None] = rows or [None]
            for name in chosen:
                clear_failures(self._plan, name)
        given = replace(self._plan, rerun_stale=rerun_stale)
        launched = launch_plan(given, where.workers, trial_timeout, rows, found, devices_per_run or 1, where)
        self._plan = replace(launched.plan, rerun_stale=False)
        return launched.table

    def table(self, *, stages: bool = False) -> Table:
        """Return the table of what is finished; Jupyter shows it.

        Its `to_frame()` is a pandas DataFrame.

        Args:
            stages: True to show each stage of a row, and what the first one starts from.
        """
        plan = every_stage(self._plan) if stages else self._plan
        return table_of(plan, known_runs(plan) or [])

    def curves(self) -> "DataFrame":
        """Return one line for each loss and validation of the finished runs.

        Returns:
            A DataFrame with columns row, seed, step, measure ('loss', in nats a token, or the
            metric's name) and value.
        """
        return curves_of([(row.name, record) for row in self.table().rows for record in row.measured.records.values()])

    def figure(self, name: str = "forest") -> Picture:
        """Draw a figure of the table, which Jupyter shows.

        Args:
            name: `forest` (differences from the baseline with intervals), `heat` (a grid of kernel
                sizes), `curves` (validations by step), `gains` (difference from the baseline by
                step), `pareto` (score against cost), `domains` (differences by domain), `needles`
                (needles found, by depth and by number) or `facts` (facts in a long text, by task
                and by length).

        Raises:
            UserError: there is no figure of that name, or too little is finished to draw it.
        """
        if name not in FIGURES:
            hint = nearest(name, FIGURES) or ";"
            raise UserError(f"figure: got '{name}'{hint} allowed: {', '.join(FIGURES)}")
        with styled():
            figure = FIGURES[name](self.table(), WIDTH)
        if figure is None:
            raise UserError(
                f"figure: too little of {self._plan.sweep.name} is finished to draw '{name}'; "
                "`run()` trains what is missing"
            )
        return Picture(figure, f"{self._plan.sweep.heading}: {name}")

    def run_of(self, row: str, seed: int | None = None) -> FinishedRun:
        """Return the finished run of a row.

        Args:
            row: the row's name.
            seed: the seed of the run; None for the first.

        Raises:
            UserError: the run is not finished; the message has the command that trains it.
        """
        return FinishedRun(self._plan, row, record_of_row(self._plan, row, seed))


def _check_number(name: str, given: Any, kind: type[int] | type[float]) -> None:
    """Raise UserError for what is neither None nor a finite number of that kind, above 0."""
    abstract = Integral if kind is int else Real  # numpy's numbers count
    fits = isinstance(given, abstract) and not isinstance(given, bool) and 0 < float(given) < math.inf
    if given is not None and not fits:
        allowed = "a whole number, 1 or more" if kind is int else "a number above 0"
        raise UserError(f"{name}: got {given!r}, allowed: {allowed}, or None")


def _written(content: Mapping[str, Any]) -> Path:
    """Write the content of a sweep file as JSON, which is also YAML; return the file.

    Its title names the file.
    """
    stem = re.sub(r"\W+", "_", str(content.get("title", "notebook")).lower()).strip("_") or "notebook"
    path = RESULTS / "sweeps" / f"{stem}.yaml"
    try:
        write_whole(path, json.dumps(content, indent=1, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"load: a sweep holds texts, numbers, lists and dicts only: {error}") from None
    return path
