"""Ask a model: the log-probability of each possible answer, and what greedy decoding would write.

Sequences of about one length are read together. No answer is generated: greedy decoding writes an
answer if, and only if, each of its tokens is the most likely one given the prompt and those before.

Shapes: B sequences, T tokens, A tokens of an answer, V vocabulary, D model width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from components.evaluations.questions import Answer, Question
from mta_lab.config import Precision
from mta_lab.data import Corpus
from mta_lab.data.decoded import plain_tokenizer
from mta_lab.model import Decoder, in_precision

A_PASS = 8192
"""tokens that a model reads at a time, if a single sequence is not longer"""
Batch = Sequence[tuple[int, "Asking"]]


@dataclass(frozen=True)
class Asking:
    """One possible answer behind its prompt, as tokens."""

    tokens: Sequence[int]
    answer: int
    """the number of tokens, at the end, that are the answer's"""


class Decoding:
    """A tokenizer with what else it takes to ask in tokens."""

    def __init__(self, corpus: Corpus) -> None:
        self._tokenizer = plain_tokenizer(corpus)
        self.end_of_text = corpus.end_of_text
        texts = [self._tokenizer.decode([token], skip_special_tokens=False) for token in range(corpus.vocabulary)]
        # Part of a letter that takes several tokens goes on with a word, too.
        self.goes_on_V = torch.tensor([text[:1].isalnum() or text[:1] == "\ufffd" for text in texts])
        """which tokens go on with a word or number that stands before them: [V] bool"""

    def asking(self, question: Question) -> list[Asking]:
        """Return a question's answers as tokens; an empty prompt becomes an end of text."""
        prompt = self.ids(question.prompt) or [self.end_of_text]
        answers = map(self.ids, question.answers)
        return [Asking([*prompt, *answer], len(answer)) for answer in answers]

    def text(self, tokens: Sequence[int]) -> str:
        """Return tokens as text."""
        return str(self._tokenizer.decode([*tokens], skip_special_tokens=False))

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def batches_of(askings: Sequence[Asking]) -> list[Batch]:
    """Return the sequences in batches with their places, longest first: memory is known at once."""
    order = sorted(range(len(askings)), key=lambda place: (-len(askings[place].tokens), place))
    found: list[Batch] = []
    places = iter(order)
    while (first := next(places, None)) is not None:
        room = A_PASS // len(askings[first].tokens)
        found.append([(place, askings[place]) for place in [first, *islice(places, max(room - 1, 0))]])
    return found


def ask(model: Decoder, batches: Sequence[Batch], decoding: Decoding, precision: Precision) -> Iterator[list[Answer]]:
    """Yield the answers of each batch, in its order.

    The model is in evaluation mode. Raises FloatingPointError where a logit is not finite.
    """
    goes_on_V = decoding.goes_on_V
    for batch in batches:
        yield _answers(model, [asking for _, asking in batch], decoding.end_of_text, goes_on_V, precision)


def _answers(
    model: Decoder, askings: Sequence[Asking], padding: int, goes_on_V: Tensor, precision: Precision
) -> list[Answer]:
    """Return the answers of one batch; logits are made where answers are, and nowhere else."""
    spans = [(one.tokens, one.answer + 1) for one in askings]
    return [
        _answer(logits_AV, torch.tensor(one.tokens[-one.answer :]), goes_on_V)
        for logits_AV, one in zip(last_logits(model, spans, padding, precision), askings, strict=True)
    ]


def last_logits(
    model: Decoder, read: Sequence[tuple[Sequence[int], int]], padding: int, precision: Precision
) -> Sequence[Tensor]:
    """Return the logits [A, V] behind each of the last A tokens of each sequence, on the CPU.

    Raises FloatingPointError where one is not finite.
    """
    device = next(model.parameters()).device
    most = max(len(tokens) for tokens, _ in read)
    padded_BT = torch.full((len(read), most), padding, dtype=torch.int64)  # nothing sees a later token
    for row, (tokens, _) in enumerate(read):
        padded_BT[row, : len(tokens)] = torch.tensor(tokens)
    with torch.no_grad(), in_precision(precision, device):
        features_BTD = model.features(padded_BT.to(device))
        spans = [slice(len(tokens) - last, len(tokens)) for tokens, last in read]
        picked_ND = torch.cat([features_BTD[row, span] for row, span in enumerate(spans)])
        logits_NV = F.linear(picked_ND, model.embedding.weight).float().cpu()
    if not logits_NV.isfinite().all():
        raise FloatingPointError("the logits of an answer are not finite")
    return torch.split(logits_NV, [last for _, last in read])


def _answer(logits_AV: Tensor, answer_A: Tensor, goes_on_V: Tensor) -> Answer:
    """Return the judgement of one answer from the logits before each of its tokens and after it."""
    losses_A = F.cross_entropy(logits_AV[:-1].double(), answer_A, reduction="none")
    likely_A = logits_AV.argmax(-1)
    return Answer(
        log_probability=-losses_A.sum().item(),
        greedy=bool((likely_A[:-1] == answer_A).all()),
        ends=not goes_on_V[likely_A[-1]].item(),
    )
