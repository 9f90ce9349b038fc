"""A model that is a table: the probability of each word depends on the word before alone."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from components.evaluations import TextEvaluation
from components.evaluations.questions import Answer, Material
from mta_lab.evaluation.batches import Decoding, ask, batches_of
from mta_lab.evaluation.scores import evaluated_by
from mta_lab.model import Decoder
from mta_lab.results.evaluated import GroupScores

END = "<end>"
NEVER = 1e-30
"""probability of words that the table leaves out"""
Table = Mapping[str, Mapping[str, float]]
"""word -> next word -> probability"""


class TableModel(nn.Module):
    """A decoder whose logits are logarithms of the table's probabilities."""

    def __init__(self, table: Table, words: Sequence[str]) -> None:
        super().__init__()
        place = {word: index for index, word in enumerate(words)}
        log_VV = torch.full((len(words), len(words)), NEVER).log()  # [next, before]
        for before, following in table.items():
            for word, probability in following.items():
                log_VV[place[word], place[before]] = torch.tensor(probability).log()
        self.embedding = SimpleNamespace(weight=log_VV)
        self.size = nn.Parameter(torch.tensor(float(len(words))))

    def features(self, tokens_BT: Tensor) -> Tensor:
        """Return which word each token is, as [B, T, V] of 0 and 1."""
        return F.one_hot(tokens_BT, len(self.embedding.weight)).float()


class Words:
    """A corpus, as far as asking reads one: a token is a word or a mark, without the blanks."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [END, *dict.fromkeys(words)]
        self.vocabulary, self.end_of_text = len(self.words), 0

    def tokenizer(self) -> Tokenizer:
        """Return a tokenizer of words and marks."""
        places = {word: place for place, word in enumerate(self.words)}
        found = Tokenizer(models.WordLevel(places, unk_token=END))
        found.pre_tokenizer = pre_tokenizers.Whitespace()
        return found


def scores_of(
    evaluation: TextEvaluation, material: Material, table: Table, words: Sequence[str]
) -> dict[str, GroupScores]:
    """Return what a table comes to by an evaluation."""
    questions = evaluation.ask(material).questions
    corpus = Words(words)
    decoding = Decoding(cast(Any, corpus))
    batches = batches_of([asking for question in questions for asking in decoding.asking(question)])
    found: dict[int, Answer] = {}
    model = cast(Decoder, TableModel(table, corpus.words))
    for batch, answers in zip(batches, ask(model, batches, decoding, "fp32"), strict=True):
        found |= {place: answer for (place, _), answer in zip(batch, answers, strict=True)}
    places = iter(range(len(found)))
    answered = [[found[next(places)] for _ in question.answers] for question in questions]
    return evaluated_by(evaluation, questions, answered)
