"""What a model is given to read for its attention maps: a text of the user's, or a sequence of its synthetic task."""

import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from components.tasks import FindBlock, SyntheticTask
from components.tasks.find_block import SYMBOLS
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.training.seeds import derive

SHOWN = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A sequence, and what is worth a mark in it."""

    tokens: Tensor
    """[T], what the model reads"""
    labels: tuple[str, ...]
    """each token as people read it"""
    text: str
    target: range = range(0)
    """places of the block that a question asks for; empty where there is none"""
    queries: range = range(0)
    """places at which the answer is predicted, token after token"""
    scored: Tensor | None = None
    """those of them that count, where the right answer is known"""
    answer: Tensor | None = None
    """what is right at the scored places"""


def read_text(text: str, config: RunConfig, corpus: Corpus | None) -> Reading:
    """The user's text as tokens; one that is empty, too long or of letters that a task lacks is a UserError."""
    if not text:
        raise UserError("--text: got an empty text, allowed: at least one token")
    if corpus is not None:
        encoding = corpus.tokenizer().encode(text, add_special_tokens=False)
        labels = [text[start:end].translate(SHOWN) for start, end in encoding.offsets]
        reading = Reading(tokens=torch.tensor(encoding.ids), labels=tuple(labels), text=text)
    elif isinstance(config.task, FindBlock):
        reading = _find_block(text, config.task)
    else:
        raise UserError(
            f"--text: task '{config.task.name}' reads no text; without --text one of its sequences is drawn"
        )
    if len(reading.tokens) > config.model.context:
        given = f"got {len(reading.tokens)} tokens"
        raise UserError(f"--text: {given}, allowed: up to the {config.model.context} of the model's context")
    return reading


def drawn(task: SyntheticTask, seed: int) -> Reading:
    """A sequence of the task's that no run trains on; another for each seed."""
    generator = torch.Generator().manual_seed(derive(seed, "picture"))
    (sequence,), (scored,) = task.sequences(1, generator)
    places = scored.nonzero().flatten()
    known: dict[str, Any] = {"text": task.text(sequence), "scored": places, "answer": sequence[1:][places]}
    if isinstance(task, FindBlock):
        return replace(_find_block("".join(SYMBOLS[token] for token in sequence[:-1]), task), **known)
    labels = tuple(map(str, sequence[:-1].tolist()))
    queries = range(int(places[0]), int(places[-1]) + 1)
    return Reading(tokens=sequence[:-1], labels=labels, queries=queries, **known)


def _find_block(text: str, task: FindBlock) -> Reading:
    """A text of the toy task, its one block that holds the whole question marked if there is one."""
    if unknown := [letter for letter in text if letter not in SYMBOLS]:
        raise UserError(f"--text: got '{unknown[0]}', allowed: letters a-z, '.' and '#', like abc.def#ba")
    blocks, _, rest = text.partition("#")
    found = [match for match in re.finditer("[a-z]+", blocks) if set(rest[: task.question]) <= set(match.group())]
    tokens = torch.tensor([SYMBOLS.index(letter) for letter in text])
    if len(rest) < task.question or len(found) != 1:
        return Reading(tokens=tokens, labels=tuple(text), text=text)
    asked = len(blocks) + task.question  # the place of the question's last letter, which predicts the answer's first
    return Reading(
        tokens=tokens, labels=tuple(text), text=text, target=range(*found[0].span()), queries=range(asked, len(text))
    )
