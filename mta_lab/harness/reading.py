"""Read the requests of a harness: each text once, and its possible answers behind what was read.

A text with several answers is read into a cache, from which each answer goes on; answers of one
token, such as A to D, need no more. A text with one answer is read as a whole. Texts of about one
length are read together.

Shapes: B texts, N answers, n new tokens, A tokens of an answer, D model width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from components.evaluations.questions import Answer
from mta_lab.config import Precision
from mta_lab.evaluation.batches import A_PASS, Asking, Batch, last_logits
from mta_lab.generation.sampling import Sampling
from mta_lab.model import Decoder, in_precision

Numbered = tuple[int, Asking]


@dataclass(frozen=True)
class _Text:
    """Tokens that are read once, and the requests that begin with them."""

    tokens: tuple[int, ...]
    requests: Sequence[Numbered]

    @property
    def most(self) -> int:
        """Return the most tokens that a request reads behind it."""
        return max(len(self.rest(asking)) for _, asking in self.requests)

    def rest(self, asking: Asking) -> Sequence[int]:
        """Return what a request reads behind it: an answer's last token is predicted alone."""
        return asking.tokens[len(self.tokens) : -1]


def batches_of(askings: Sequence[Asking], context: int) -> list[Batch]:
    """Return the requests in batches with their numbers, longest texts first.

    No batch mixes texts that are read into a cache with others, and `context` holds each.
    """
    found: list[list[_Text]] = []
    room = 0
    for text in sorted(_texts([*enumerate(askings)]), key=_order):
        cost = len(text.tokens) + text.most * len(text.requests)
        longest = found[-1][0] if found and room >= cost and bool(found[-1][0].most) == bool(text.most) else None
        if longest is None or len(longest.tokens) + max(one.most for one in (*found[-1], text)) > context:
            found.append([])
            room = A_PASS
        found[-1].append(text)
        room -= max(cost, len(found[-1][0].tokens))
    return [[request for text in batch for request in text.requests] for batch in found]


def _order(text: _Text) -> tuple[bool, int, int]:
    return not text.most, -len(text.tokens), text.requests[0][0]


def _texts(requests: Sequence[Numbered]) -> list[_Text]:
    """Return the texts of requests: before the answers, or with the answer where it has one."""
    by_text: dict[tuple[int, ...], list[Numbered]] = {}
    for number, asking in requests:
        by_text.setdefault(tuple(asking.tokens[: -asking.answer]), []).append((number, asking))
    several = {tokens: len({tuple(asking.tokens) for _, asking in some}) > 1 for tokens, some in by_text.items()}
    return [
        _Text(tokens if several[tokens] else tuple(some[0][1].tokens[:-1]), some) for tokens, some in by_text.items()
    ]


def read(model: Decoder, batches: Sequence[Batch], padding: int, precision: Precision) -> Iterator[list[Answer]]:
    """Yield the answers of each batch, in its order; whether a word ends with one is not told.

    Raises FloatingPointError where a logit is not finite.
    """
    for batch in batches:
        texts = _texts(batch)
        if any(text.most for text in texts):
            device = next(model.parameters()).device
            with torch.no_grad(), in_precision(precision, device):
                found = _behind_texts(model, texts, padding)
        else:
            asked = [(text.tokens, max(asking.answer for _, asking in text.requests)) for text in texts]
            logits = last_logits(model, asked, padding, precision)
            found = {number: logits_AV[-asking.answer :] for text, logits_AV in zip(texts, logits, strict=True)
                     for number, asking in text.requests}  # fmt: skip
        yield [_answer(found[number], asking) for number, asking in batch]


def following(
    model: Decoder, tokens: Sequence[int], limit: int, sampling: Sampling, *, end: int, precision: Precision
) -> Iterator[int]:
    """Yield the tokens that a model writes behind some, at most `limit`, up to an end of text."""
    device = next(model.parameters()).device
    with torch.no_grad(), in_precision(precision, device):
        for token_1 in model.generate(torch.tensor([tokens], device=device), limit, sampling):
            if int(token_1) == end:
                return
            yield int(token_1)


def _behind_texts(model: Decoder, texts: Sequence[_Text], padding: int) -> dict[int, Tensor]:
    """Return the logits [A, V] of each request, by its number, on the CPU."""
    longest = max(len(text.tokens) for text in texts)
    pads = [longest - len(text.tokens) for text in texts]
    cache = model.new_cache(pads if any(pads) else ())
    padded_BT = torch.tensor([[padding] * pad + [*text.tokens] for pad, text in zip(pads, texts, strict=True)])
    device = next(model.parameters()).device
    last_BD = model.further_features(padded_BT.to(device), cache)[:, -1]
    requests = [(row, number, text.rest(asking)) for row, text in enumerate(texts) for number, asking in text.requests]
    further = max(text.most for text in texts)
    rests_Nn = torch.tensor([[*rest, *[padding] * (further - len(rest))] for _, _, rest in requests])
    rows_N = torch.tensor([row for row, _, _ in requests])
    after_NnD = model.further_features(rests_Nn.to(device), cache.of(rows_N.to(device)))
    picked = [torch.cat([last_BD[row][None], after_NnD[at, : len(rest)]]) for at, (row, _, rest) in enumerate(requests)]
    logits_V = F.linear(torch.cat(picked), model.embedding.weight).float().cpu()
    if not logits_V.isfinite().all():
        raise FloatingPointError("the logits of an answer are not finite")
    sizes = [len(one_AD) for one_AD in picked]
    return {number: one_AV for (_, number, _), one_AV in zip(requests, torch.split(logits_V, sizes), strict=True)}


def _answer(logits_AV: Tensor, asking: Asking) -> Answer:
    """Return the judgement of an answer from the logits before each of its tokens."""
    answer_A = torch.tensor(asking.tokens[-asking.answer :])
    losses_A = F.cross_entropy(logits_AV.double(), answer_A, reduction="none")
    greedy = bool((logits_AV.argmax(-1) == answer_A).all())
    return Answer(log_probability=-losses_A.sum().item(), greedy=greedy, ends=False)
