"""Train one run with Lightning, by `mta_lab.training.run.train`.

The types of its result, named here, import nothing slow.
"""

from mta_lab.training.result import (
    GivenAwayError,
    InterruptedRunError,
    Progress,
    Report,
    TrainingResult,
    Validation,
)

__all__ = ["GivenAwayError", "InterruptedRunError", "Progress", "Report", "TrainingResult", "Validation"]
