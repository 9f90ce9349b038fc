"""Track sweeps in MLflow: a sweep is an experiment, a launch a run in it, with its runs below.

No other room imports mlflow. The store is MLflow's default, `./mlflow.db`, or the one that
MLFLOW_TRACKING_URI names. It holds copies: results come from the records, and what MLflow missed is
entered from them later.
"""

import os
from pathlib import Path

try:
    Path.home()
except RuntimeError:  # no HOME, and a user whom the system does not know: MLflow could not be imported
    os.environ["HOME"] = "/nonexistent"
