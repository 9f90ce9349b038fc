"""Training one run with Lightning."""

from mta_lab.training.result import Progress, Report, TrainingResult, Validation
from mta_lab.training.run import train

__all__ = ["Progress", "Report", "TrainingResult", "Validation", "train"]
