"""Mix exercises into the batches of a text: questions on texts made of what is trained on.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

from functools import partial
from random import Random

import torch
from tokenizers import Tokenizer
from torch.utils.data import Dataset

from components.evaluations.questions import Exercise, Material
from components.registry import ComponentError
from components.tasks import ExercisedTask
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches
from mta_lab.data.decoded import documents_of, plain_tokenizer, token_counts
from mta_lab.errors import UserError
from mta_lab.training.loss import Batch

PART = 1 << 18  # tokens of each domain's training text that exercises are made of
DRAWS = 100  # of an exercise that fits, before it is said that none does


class MixedBatches(Dataset[Batch]):
    """Training batches of text or, at some of the steps, of exercises: item k is step k's."""

    def __init__(self, text: TrainingBatches, task: ExercisedTask, corpus: Corpus) -> None:
        """Prepare to make exercises.

        Raises UserError where none can be made of the text.
        """
        self._text, self._task, self._corpus = text, task, corpus
        self._tokenizer = plain_tokenizer(corpus)
        material = _material(corpus, self._tokenizer, text.context)
        try:
            self._exercises = [one.exercises(material, task.asked) for one in task.exercised]
        except ComponentError as error:
            raise UserError(f"task: {error}") from None

    def __len__(self) -> int:
        return self._text.steps

    def __getitem__(self, step: int) -> Batch:
        random = Random(f"{self._text.seed} {step}")
        if random.random() >= self._task.share:
            return self._text[step]
        rows = [self._row(random) for _ in range(self._text.batch_size)]
        tokens, scored = zip(*rows, strict=True)
        return torch.tensor(tokens), torch.tensor(scored)

    def _row(self, random: Random) -> tuple[list[int], list[bool]]:
        """Return an exercise as T + 1 tokens, and which of the last T are of its answers."""
        wanted = self._text.context + 1
        for _ in range(DRAWS):
            tokens, scored = self._encoded(random.choice(self._exercises)(random))
            if len(tokens) <= wanted:
                left = wanted - len(tokens)
                return tokens + [self._corpus.end_of_text] * left, scored[1:] + [False] * left
        raise UserError(f"task: no exercise fits into model.context={self._text.context} tokens; a longer one helps")

    def _encoded(self, exercise: Exercise) -> tuple[list[int], list[bool]]:
        """Return the tokens of an exercise, and of each whether it is an answer's."""
        tokens: list[int] = []
        scored: list[bool] = []
        for text, answer in exercise:
            for part, counts in ((text, False), (answer, True)):
                found = self._tokenizer.encode(part, add_special_tokens=False).ids
                tokens += found
                scored += [counts] * len(found)
        return tokens, scored


def _material(corpus: Corpus, tokenizer: Tokenizer, context: int) -> Material:
    """Return training text to make exercises of."""
    return Material(
        documents={
            domain.name: documents_of(corpus.tokens(domain.name, "train")[:PART], corpus.end_of_text, tokenizer)
            for domain in corpus.domains
        },
        tokens=partial(token_counts, tokenizer),
        context=context,
    )
