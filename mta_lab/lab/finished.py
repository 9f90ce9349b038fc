"""The sweeps in which finished runs stand, as the sweeps are now."""

from collections.abc import Sequence
from dataclasses import replace

from mta_lab.config import Precision, RunConfig, plain
from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.lab.own_sweeps import remembered
from mta_lab.results.records import Records, settings_key
from mta_lab.sweep import load_sweep, shipped_sweeps
from mta_lab.words import counted


def by_sweep(records: Records, scales: Sequence[str], display: Display) -> list[str]:
    """Return a line on how many runs there are with the settings of each sweep as it stands; stale ones count."""
    recorded = set(records.settings().values())
    lines = []
    for name in [*shipped_sweeps(), *remembered(records, display)]:
        for scale in scales:
            try:
                runs = load_sweep(name, scale=scale).runs()
            except UserError:  # a scale of settings only, or a file that is refused now: `report` says why
                continue
            there = sum(bool(_keys(run.config) & recorded) for run in runs)
            if there:
                lines.append(f"{name} ({scale}): {there} of {counted(len(runs), 'run')}")
    return lines


def _keys(config: RunConfig) -> set[str]:
    """Return the settings of a run as records have them, whichever precision 'auto' came to."""
    training = config.training
    kinds: tuple[Precision, ...] = ("fp32", "bf16") if training.precision == "auto" else (training.precision,)
    return {settings_key(plain(replace(config, training=replace(training, precision=kind)))) for kind in kinds}
