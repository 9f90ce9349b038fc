"""Continue a text with a finished run's model, and show each piece of it as soon as it is there."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from components.registry import ComponentError
from components.tasks import SyntheticTask
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.generation.sampling import Sampling
from mta_lab.lab.trained import corpus_of
from mta_lab.pictures.trained import Trained

DEFAULT = 64  # tokens, where the context has room for them


class _Prompt(NamedTuple):
    """A prompt as a model reads it, and the way back from tokens to text."""

    tokens: Sequence[int]
    text: Callable[[Sequence[int]], str]
    end: int | None
    """the token that ends a text"""


def sampling(temperature: float, top_p: float, seed: int) -> Sampling:
    """Return the choice of tokens under these settings.

    Raises:
        UserError: a setting that it cannot have.
    """
    try:
        return Sampling(temperature=temperature, top_p=top_p, seed=seed)
    except ValueError as error:
        raise UserError(f"generate: {error}") from None


def pieces(run: Trained, prompt: str | None, tokens: int | None, choice: Sampling) -> Iterator[str]:
    """Return an iterator over the pieces of the text that follows the prompt, as they come.

    Args:
        run: the run whose model writes, on a GPU if there is one.
        prompt: what it reads first; None for a model of text, which then begins a document.
        tokens: how many at most, fewer where the text ends; None for up to DEFAULT.
        choice: how tokens are chosen.

    Raises:
        UserError: the model cannot read the prompt, or its context has no room for the tokens.
    """
    given, context = _read(run, prompt), run.config.model.context
    room = context - len(given.tokens) + 1  # nothing reads the last token
    if room < 1:
        said = f"generate: got a prompt of {len(given.tokens)} tokens"
        raise UserError(f"{said}, allowed: up to the {context} of the model's context")
    if tokens is not None and not 1 <= tokens <= room:
        raise UserError(
            f"generate: got {tokens} tokens after a prompt of {len(given.tokens)}, allowed: 1 to {room}, "
            f"as the model's context is {context}"
        )
    return _written(run, given, tokens or min(DEFAULT, room), choice)


def uncached(run: Trained) -> str | None:
    """Return in a line why all earlier tokens are computed anew for each; None where none are."""
    why = run.model.new_cache().uncached
    return why and f"{why}: all earlier tokens are computed anew for each token"


def _written(run: Trained, prompt: _Prompt, limit: int, choice: Sampling) -> Iterator[str]:
    where, tokens = own.device(), [*prompt.tokens]
    shown = len(prompt.text(tokens))
    try:
        model = run.model.to(where)
        for next_B in model.generate(torch.tensor([tokens], device=where), limit, choice, end=prompt.end):
            token = int(next_B)
            if token == prompt.end:
                break
            tokens.append(token)
            text = prompt.text(tokens)
            if not text.endswith("\ufffd"):  # else a letter, of which some bytes are missing yet
                yield text[shown:]
                shown = len(text)
        yield prompt.text(tokens)[shown:]
    finally:
        run.model.to("cpu")


def _read(run: Trained, prompt: str | None) -> _Prompt:
    """Return the prompt as the run's model reads it."""
    if prompt == "":
        raise UserError("--prompt: got an empty text, allowed: at least one token")
    if prompt is not None and any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise UserError(f"--prompt: got {prompt!a}, allowed: text in UTF-8")
    task = run.config.task
    if isinstance(task, SyntheticTask):
        return _of_task(task, prompt)
    corpus = corpus_of(run)
    assert corpus is not None
    tokenizer = corpus.tokenizer()
    ids = [corpus.end_of_text] if prompt is None else tokenizer.encode(prompt, add_special_tokens=False).ids

    def text(tokens: Sequence[int]) -> str:
        decoded: str = tokenizer.decode(tokens)
        return decoded

    return _Prompt(ids, text, corpus.end_of_text)


def _of_task(task: SyntheticTask, prompt: str | None) -> _Prompt:
    """Return the prompt as tokens of a synthetic task."""
    if prompt is None:
        raise UserError(f"--prompt: is missing; task '{task.name}' needs the start of a sequence")
    try:
        tokens = task.encode(prompt)
    except ComponentError as error:
        raise UserError(f"--prompt: {error}") from None
    if tokens is None:
        raise UserError(f"--prompt: task '{task.name}' reads no text")
    return _Prompt(tokens.tolist(), lambda ids: task.text(torch.tensor(ids)), None)
