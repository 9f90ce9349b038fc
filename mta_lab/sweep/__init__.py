"""A sweep file -> rows x seeds -> cells. Pure: reads YAML, starts nothing, writes nothing."""

from mta_lab.sweep.load import load_sweep
from mta_lab.sweep.rows import Cell, Row, Sweep, single_run
from mta_lab.sweep.written import shipped_sweeps

__all__ = ["Cell", "Row", "Sweep", "load_sweep", "shipped_sweeps", "single_run"]
