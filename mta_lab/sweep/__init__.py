"""A sweep file -> rows x seeds -> cells. Pure: reads YAML, starts nothing, writes nothing."""

from mta_lab.sweep.load import load_sweep, shipped_sweeps
from mta_lab.sweep.rows import Cell, Row, Sweep, single_run

__all__ = ["Cell", "Row", "Sweep", "load_sweep", "shipped_sweeps", "single_run"]
