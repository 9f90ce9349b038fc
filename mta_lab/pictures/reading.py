"""Make the tokens that a model reads for its maps: a user's text, or a task's sequence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from components.registry import ComponentError
from components.tasks import SyntheticTask
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.training.seeds import derive

SHOWN = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A sequence, with the places that are marked in it."""

    tokens: Tensor
    """[T] int64, what the model reads"""
    labels: tuple[str, ...]
    """each token, as shown to people"""
    text: str
    target: range = range(0)
    """positions of the block that the question asks for; empty without a question"""
    queries: range = range(0)
    """positions at which the answer is predicted, token after token"""
    scored: Tensor | None = None
    """positions that are scored, where the right answer is known"""
    answer: Tensor | None = None
    """right tokens at the scored positions"""


def read_text(text: str, config: RunConfig, corpus: Corpus | None) -> Reading:
    """Return the user's text as tokens.

    Raises:
        UserError: it is empty, longer than the model's context, or has letters that the task lacks.
    """
    if not text:
        raise UserError("--text: got an empty text, allowed: at least one token")
    reading = _in_corpus(text, corpus) if corpus is not None else _in_task(text, config)
    if len(reading.tokens) > config.model.context:
        given = f"got {len(reading.tokens)} tokens"
        raise UserError(f"--text: {given}, allowed: up to the {config.model.context} of the model's context")
    return reading


def drawn(task: SyntheticTask, seed: int) -> Reading:
    """Return a sequence of the task that no run trains on, another for each seed."""
    generator = torch.Generator().manual_seed(derive(seed, "picture"))
    (sequence,), (scored,) = task.sequences(1, generator)
    places = scored.nonzero().flatten()
    return Reading(
        tokens=sequence[:-1],
        labels=tuple(task.labels(sequence[:-1])),
        text=task.text(sequence),
        target=task.marks(sequence[:-1]).target,
        queries=range(int(places[0]), int(places[-1]) + 1),
        scored=places,
        answer=sequence[1:][places],
    )


def _in_corpus(text: str, corpus: Corpus) -> Reading:
    encoding = corpus.tokenizer().encode(text, add_special_tokens=False)
    labels = [text[start:end].translate(SHOWN) for start, end in encoding.offsets]
    return Reading(tokens=torch.tensor(encoding.ids), labels=tuple(labels), text=text)


def _in_task(text: str, config: RunConfig) -> Reading:
    task = config.task
    try:
        tokens = task.encode(text) if isinstance(task, SyntheticTask) else None
    except ComponentError as error:
        raise UserError(f"--text: {error}") from None
    if tokens is None or not isinstance(task, SyntheticTask):
        raise UserError(f"--text: task '{task.name}' reads no text; without --text one of its sequences is drawn")
    marks = task.marks(tokens)
    labels = tuple(task.labels(tokens))
    return Reading(tokens=tokens, labels=labels, text=text, target=marks.target, queries=marks.queries)
