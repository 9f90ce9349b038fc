"""Ask a trained model the questions of an evaluation, and score what it answers."""

from mta_lab.evaluation.identity import changed_settings, evaluation_fingerprint
from mta_lab.evaluation.prepared import Asks, prepare

__all__ = ["Asks", "changed_settings", "evaluation_fingerprint", "prepare"]
