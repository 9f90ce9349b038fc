"""Evaluations, one file each."""

from components.evaluations.babilong import BabiLong
from components.evaluations.base import Evaluation, Predicted
from components.evaluations.error_rate import ErrorRate
from components.evaluations.found import Found
from components.evaluations.harness import HarnessEvaluation
from components.evaluations.last_word import LastWord
from components.evaluations.lm_eval import LmEval
from components.evaluations.needles import Needles
from components.evaluations.perplexity import Perplexity
from components.evaluations.questions import TextEvaluation
from components.evaluations.scoring import Scoring
from components.evaluations.token_accuracy import TokenAccuracy

__all__ = [
    "BabiLong",
    "ErrorRate",
    "Evaluation",
    "Found",
    "HarnessEvaluation",
    "LastWord",
    "LmEval",
    "Needles",
    "Perplexity",
    "Predicted",
    "Scoring",
    "TextEvaluation",
    "TokenAccuracy",
]
