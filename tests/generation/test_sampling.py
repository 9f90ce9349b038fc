"""Tokens are drawn by their probabilities, and sequences go on as each would alone."""

import pytest
import torch
from torch import Tensor

from mta_lab.generation.sampling import Sampling
from mta_lab.model import Decoder, build_model
from tests.config.helpers import config

DRAWS = 4000
LOGITS = torch.tensor([0.2, 0.5, 0.3]).log()


def shares(sampling: Sampling, logits_V: Tensor = LOGITS) -> list[float]:
    """Return how often each token is drawn."""
    drawn = sampling.chooser()(logits_V.expand(DRAWS, -1))
    return (torch.bincount(drawn, minlength=len(logits_V)) / DRAWS).tolist()


def model() -> Decoder:
    sizes = ("model.width=16", "model.vocabulary=260", "model.feed_forward_multiple=16", "model.context=24")
    return build_model(config(*sizes, "attention=multi_token"), 0).double().eval()


def written(decoder: Decoder, prompt_BT: Tensor, limit: int, **settings: object) -> list[list[int]]:
    """Return the tokens of each sequence."""
    return torch.stack([*decoder.generate(prompt_BT, limit, **settings)], dim=1).tolist()  # type: ignore[arg-type]


def test_draws_have_the_probabilities_of_the_tokens() -> None:
    assert shares(Sampling(temperature=1.0)) == pytest.approx([0.2, 0.5, 0.3], abs=0.04)
    assert shares(Sampling(temperature=1e6)) == pytest.approx([1 / 3] * 3, abs=0.04)
    assert shares(Sampling(temperature=1e-300)) == [0.0, 1.0, 0.0] == shares(Sampling())


def test_the_nucleus_is_the_fewest_tokens_of_that_probability() -> None:
    assert shares(Sampling(temperature=1.0, top_p=0.6)) == pytest.approx([0.0, 0.625, 0.375], abs=0.04)
    assert shares(Sampling(temperature=1.0, top_p=0.5)) == [0.0, 1.0, 0.0]


def test_a_batch_with_padding_is_continued_as_each_sequence_alone() -> None:
    decoder, prompts = model(), torch.randint(260, (3, 9), generator=torch.Generator().manual_seed(1))
    padding = (0, 4, 8)
    alone = [written(decoder, prompts[row : row + 1, pad:], 12)[0] for row, pad in enumerate(padding)]
    assert written(decoder, prompts, 12, padding=padding) == alone


def test_a_sequence_that_has_ended_repeats_its_end_until_all_have() -> None:
    decoder, prompts = model(), torch.randint(260, (2, 5), generator=torch.Generator().manual_seed(1))
    free = written(decoder, prompts, 12, sampling=Sampling(temperature=3.0))
    end = free[0][2]
    first = free[0].index(end)
    found = written(decoder, prompts, 12, sampling=Sampling(temperature=3.0), end=end)
    assert found[0][: first + 1] == free[0][: first + 1]
    assert set(found[0][first:]) == {end}
    assert len(written(decoder, prompts[:1], 12, end=written(decoder, prompts[:1], 1)[0][0])[0]) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limit": 0}, "generate: got 0 tokens after prompts of 5, allowed: 1 or more of both"),
        ({"limit": 2, "padding": (5, 0)}, "generate: got 2 tokens after prompts of 5"),
        ({"limit": 2, "padding": (0,)}, r"padding: got 1 numbers, allowed: one a sequence \(2\)"),
        ({"limit": 21}, "tokens: got 25 in a sequence, allowed: up to the model's context"),
    ],
)
def test_what_cannot_be_written_is_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        written(model(), torch.zeros(2, 5, dtype=torch.int64), **settings)  # type: ignore[arg-type]
