"""Prepare the questions of an evaluation, once for all runs that read a text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from components.evaluations.questions import Question, TextEvaluation
from components.registry import ComponentError
from mta_lab.config import Precision, RunConfig
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.evaluation.answers import Advance, answered
from mta_lab.evaluation.batches import Batch, Decoding, ask, batches_of
from mta_lab.evaluation.identity import changed_settings
from mta_lab.evaluation.material import material_of
from mta_lab.evaluation.scores import evaluated_by, floors_of
from mta_lab.model import Decoder
from mta_lab.results.evaluated import Evaluated, now


class Asks(Protocol):
    """The questions of an evaluation, ready to be asked."""

    @property
    def context(self) -> int:
        """Return the most tokens that a model reads at a time."""

    def ask(self, model: Decoder, precision: Precision, kept: Path, advance: Advance) -> Evaluated:
        """Return what a model comes to.

        Args:
            model: in evaluation mode, with a rotary table of at least `context` tokens.
            precision: of the run that trained the model.
            kept: the file of the answers so far; the caller removes it at the end.
            advance: hears how many tokens are read, and of how many.

        Raises:
            FloatingPointError: a logit or a score is not finite.
        """


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The questions that an evaluation makes itself, as tokens, in batches."""

    evaluation: TextEvaluation
    questions: Sequence[Question]
    batches: Sequence[Batch]
    """of all possible answers, numbered through the questions"""
    decoding: Decoding
    context: int
    """most tokens of a sequence"""
    notes: Sequence[str]
    """clauses on what was left out"""

    def ask(self, model: Decoder, precision: Precision, kept: Path, advance: Advance) -> Evaluated:
        """Return what a model comes to, as `Asks` says."""
        asked = partial(ask, model, decoding=self.decoding, precision=precision)
        answers = iter(answered(self.batches, asked, kept, advance))
        by_question = [[next(answers) for _ in question.answers] for question in self.questions]
        return Evaluated(
            name=self.evaluation.name,
            settings=changed_settings(self.evaluation),
            metrics=evaluated_by(self.evaluation, self.questions, by_question),
            floors=floors_of(self.questions),
            notes=self.notes,
            finished=now(),
        )


def prepare(evaluation: TextEvaluation, config: RunConfig, corpus: Corpus) -> Prepared:
    """Return the questions that a run is asked.

    A question that is longer than the context is left out.

    Raises:
        UserError: none can be made, or none is left.
    """
    context = evaluation.context or config.model.context
    try:
        asked = evaluation.ask(material_of(evaluation, config, corpus))
    except ComponentError as error:
        raise UserError(f"{evaluation.name}: {error}") from None
    decoding = Decoding(corpus)
    kept, askings, long = [], [], Counter[str]()
    for question in asked.questions:
        found = decoding.asking(question)
        if max(len(one.tokens) for one in found) > context:
            long[question.group] += 1
            continue
        kept.append(question)
        askings += found
    if not kept:
        shortest = "each question is longer than that" if asked.questions else "there is no question"
        raise UserError(f"{evaluation.name}: context: got {context} tokens, and {shortest}; choose a longer one")
    groups = Counter(question.group for question in asked.questions)
    notes = [
        f"{number:,} of {groups[group]:,} questions of '{group}' are longer than {context:,} tokens and left out"
        for group, number in long.items()
    ]
    return Prepared(
        evaluation=evaluation,
        questions=kept,
        batches=batches_of(askings),
        decoding=decoding,
        context=context,
        notes=[*asked.notes, *notes],
    )
