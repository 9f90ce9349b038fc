"""Ask a trained model the questions of an evaluation, and score what it answers."""

from mta_lab.evaluation.answers import answered
from mta_lab.evaluation.identity import evaluation_fingerprint
from mta_lab.evaluation.prepared import Prepared, prepare
from mta_lab.evaluation.scores import evaluated_by, floors_of

__all__ = ["Prepared", "answered", "evaluated_by", "evaluation_fingerprint", "floors_of", "prepare"]
