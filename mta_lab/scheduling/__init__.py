"""Optuna: a sweep's runs and a search's trials. The only importer of optuna.

One process at a time owns the journal (see `mta_lab.launch.launch`).
"""

from mta_lab.scheduling.merge import Taken, take_searches
from mta_lab.scheduling.runs import Study
from mta_lab.scheduling.trials import Trials

__all__ = ["Study", "Taken", "Trials", "take_searches"]
