"""Training one run with Lightning: `mta_lab.training.run.train`. The types of its result import nothing heavy."""

from mta_lab.training.result import InterruptedRunError, Progress, Report, TrainingResult, Validation

__all__ = ["InterruptedRunError", "Progress", "Report", "TrainingResult", "Validation"]
