"""Prepare the questions of an evaluation, once for all runs that read a text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from components.evaluations.questions import Question, TextEvaluation
from components.registry import ComponentError
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.evaluation.batches import Batch, Decoding, batches_of
from mta_lab.evaluation.material import material_of


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The questions of an evaluation as tokens, in batches."""

    questions: Sequence[Question]
    batches: Sequence[Batch]
    """of all possible answers, numbered through the questions"""
    decoding: Decoding
    context: int
    """most tokens of a sequence"""
    notes: Sequence[str]
    """clauses on what was left out"""

    @property
    def tokens(self) -> int:
        """Return the number of tokens that a model reads."""
        return sum(len(asking.tokens) for batch in self.batches for _, asking in batch)


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
        questions=kept,
        batches=batches_of(askings),
        decoding=decoding,
        context=context,
        notes=[*asked.notes, *notes],
    )
