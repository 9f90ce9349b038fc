"""Requests of a harness are read in batches: the same numbers as one by one, each text once."""

from collections.abc import Sequence

import pytest
import torch

from components.evaluations.questions import Answer
from mta_lab.evaluation.batches import Asking
from mta_lab.generation.sampling import GREEDY
from mta_lab.harness.reading import batches_of, following, read
from mta_lab.model import Decoder, build_model
from tests.config.helpers import config

CONTEXT = 24
SIZES = ("model.width=16", "model.heads=2", "model.layers=4", f"model.context={CONTEXT}", "model.vocabulary=300")
VARIANTS = ("softmax", "multi_token", "differential")


def model(attention: str = "multi_token") -> Decoder:
    return build_model(config(*SIZES, f"attention={attention}"), seed=0).eval()


def drawn(length: int) -> list[int]:
    return torch.randint(300, (length,), generator=torch.Generator().manual_seed(length)).tolist()


def askings() -> list[Asking]:
    """Letters behind a text; answers of several lengths behind two others; three texts alone."""
    letters = [Asking([*drawn(9), token], 1) for token in (3, 7, 11)]
    several = [Asking([*drawn(12), *drawn(size)], size) for size in (3, 1, 4)]
    others = [Asking([*drawn(6), *drawn(size)], size) for size in (2, 5)]
    alone = [Asking(drawn(length), answer) for length, answer in ((14, 2), (5, 1), (CONTEXT + 1, 20))]
    return [*letters, *several, *alone, *others]


def answers(decoder: Decoder, asked: Sequence[Asking]) -> list[Answer]:
    batches = batches_of(asked, CONTEXT)
    found = {
        place: answer
        for batch, some in zip(batches, read(decoder, batches, 0, "fp32"), strict=True)
        for (place, _), answer in zip(batch, some, strict=True)
    }
    return [found[place] for place in range(len(asked))]


@pytest.mark.parametrize("attention", VARIANTS)
def test_log_probabilities_are_those_of_each_sequence_alone(attention: str) -> None:
    decoder = model(attention)
    for one, found in zip(askings(), answers(decoder, askings()), strict=True):
        with torch.no_grad():
            before = decoder(torch.tensor([one.tokens[:-1]]))[0, -one.answer :].log_softmax(-1)
        answer = torch.tensor(one.tokens[-one.answer :])
        assert found.log_probability == pytest.approx(before.gather(1, answer[:, None]).sum().item(), abs=1e-4)
        assert found.greedy == bool((before.argmax(-1) == answer).all())


def test_a_text_is_read_once_whatever_answers_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are read behind it; their last tokens are predicted alone."""
    decoder, read_tokens = model(), 0

    def counting(call):
        def counted(tokens_BT, *rest):
            nonlocal read_tokens
            read_tokens += tokens_BT.numel()
            return call(tokens_BT, *rest)

        return counted

    for name in ("features", "further_features"):
        monkeypatch.setattr(decoder, name, counting(getattr(decoder, name)))
    answers(decoder, askings()[:3])
    assert read_tokens == 9
    read_tokens = 0
    answers(decoder, askings()[3:6])
    assert read_tokens == 12 + 3 * 3  # to the length of the longest


def test_the_text_that_follows_is_the_likeliest_up_to_its_limit_or_an_end_of_text() -> None:
    decoder, tokens, expected = model(), drawn(9), list[int]()
    for _ in range(5):
        with torch.no_grad():
            expected.append(int(decoder(torch.tensor([[*tokens, *expected]]))[0, -1].argmax()))
    assert [*following(decoder, tokens, 5, GREEDY, end=299, precision="fp32")] == expected
    before = expected.index(expected[2])
    assert [*following(decoder, tokens, 5, GREEDY, end=expected[2], precision="fp32")] == expected[:before]


def test_batches_hold_as_many_tokens_as_one_pass_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta_lab.harness.reading.A_PASS", 24)
    batches = batches_of(askings(), CONTEXT)
    assert [[number for number, _ in batch] for batch in batches] == [[3, 4, 5], [9, 10], [8], [6, 0, 1, 2], [7]]


def test_a_batch_is_no_longer_than_the_context() -> None:
    """Each text fits with its own answers, the longer one with the longer answers does not."""
    apart = [Asking([*drawn(20), 1, 2], 2), Asking([*drawn(20), 3, 4], 2)]
    apart += [Asking([*drawn(5), *drawn(size)], size) for size in (9, 10)]
    assert len(batches_of(apart, CONTEXT)) == 2
    answers(model(), apart)
