"""A sweep file -> rows x seeds -> runs. Pure: reads YAML, starts nothing, writes nothing."""

from mta_lab.sweep.load import load_sweep
from mta_lab.sweep.rows import PlannedRun, Row, Sweep, single_run
from mta_lab.sweep.written import shipped_sweeps

__all__ = ["PlannedRun", "Row", "Sweep", "load_sweep", "shipped_sweeps", "single_run"]
