"""List the sweeps, as they are now, to which finished runs belong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mta_lab.config import Precision, RunConfig, plain
from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.lab.own_sweeps import remembered
from mta_lab.lab.plan import open_records
from mta_lab.plugins import load_components
from mta_lab.results.records import Records, settings_key
from mta_lab.sweep import load_sweep, shipped_sweeps
from mta_lab.words import counted


def records_here(components: Sequence[Path], display: Display) -> Records:
    """Return the records of this directory.

    Loads `components` first: records of runs with them can then be read.
    """
    load_components(components)
    return open_records(display)


def by_sweep(records: Records, scales: Sequence[str], display: Display) -> list[str]:
    """Return a line on each sweep: how many of its runs have results, stale ones included."""
    recorded = set(records.settings().values())
    lines = []
    for name in [*shipped_sweeps(), *remembered(records, display)]:
        for scale in scales:
            try:
                runs = load_sweep(name, scale=scale).runs()
            except UserError:  # the scale has no model, or the file is refused by now: `report` says why
                continue
            there = sum(bool(_keys(run.config) & recorded) for run in runs)
            if there:
                lines.append(f"{name} ({scale}): {there} of {counted(len(runs), 'run')}")
    return lines


def _keys(config: RunConfig) -> set[str]:
    """Return the keys of a run's settings, as records have them.

    Where the precision is `auto`, records have one of two keys.
    """
    training = config.training
    kinds: tuple[Precision, ...] = ("fp32", "bf16") if training.precision == "auto" else (training.precision,)
    return {settings_key(plain(replace(config, training=replace(training, precision=kind)))) for kind in kinds}
