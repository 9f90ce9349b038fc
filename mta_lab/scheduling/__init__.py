"""Optuna: a sweep's cells and a search's trials. The only importer of optuna.

One process at a time owns the journal (see `mta_lab.worker.launch`).
"""

from mta_lab.scheduling.cells import Study
from mta_lab.scheduling.merge import Taken, take_searches
from mta_lab.scheduling.trials import Trials

__all__ = ["Study", "Taken", "Trials", "take_searches"]
