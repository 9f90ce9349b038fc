import numpy as np
import pytest
import torch
from torch import Tensor

from mta_lab.config import Split
from mta_lab.data.batches import TrainingBatches, ValidationBatches
from mta_lab.data.shards import TokenArray
from mta_lab.errors import UserError

CONTEXT = 8


def ids(count: int, first: int = 0) -> TokenArray:
    """Tokens that count up, so that a window shows where it was cut."""
    return np.arange(first, first + count, dtype="<u2")


def training(domains: dict[str, TokenArray] | None = None, *, seed: int = 5, batch_size: int = 4) -> TrainingBatches:
    given = domains or {"book": ids(500), "c4": ids(700, first=1000)}
    equal = dict.fromkeys(given, 1 / len(given))
    return TrainingBatches(given, equal, seed=seed, steps=1000, batch_size=batch_size, context=CONTEXT)


def validation(tokens: TokenArray, *, limit: int, batch_size: int = 3, evaluate: Split = "valid") -> list[Tensor]:
    batches = ValidationBatches(tokens, limit=limit, batch_size=batch_size, context=CONTEXT, evaluate=evaluate)
    return [batches[index] for index in range(len(batches))]


def test_a_batch_is_inputs_and_targets_as_int64() -> None:
    batch = training()[0]
    assert batch.shape == (4, CONTEXT + 1)
    assert batch.dtype == torch.int64
    assert len(training()) == 1000


def test_a_step_depends_on_nothing_but_seed_and_number() -> None:
    in_order = [batch for _, batch in zip(range(20), training(), strict=False)]
    alone = [training()[step] for step in reversed(range(20))][::-1]
    assert all(torch.equal(one, other) for one, other in zip(in_order, alone, strict=True))
    assert len({batch.numpy().tobytes() for batch in in_order}) == 20


def test_the_order_in_which_domains_are_given_does_not_matter() -> None:
    one = training({"book": ids(500), "c4": ids(700, first=1000)})
    other = training({"c4": ids(700, first=1000), "book": ids(500)})
    assert torch.equal(one[3], other[3])


def test_seeds_read_different_batches() -> None:
    first = {seed: training(seed=seed)[0].numpy().tobytes() for seed in range(10)}
    assert len(set(first.values())) == 10
    # Neither is one seed's stream the other's, moved by a step.
    assert not {training(seed=1)[k].numpy().tobytes() for k in range(50)} & {
        training(seed=2)[k].numpy().tobytes() for k in range(50)
    }


def test_windows_are_unbroken_and_stay_inside_their_domain() -> None:
    windows = training({"book": ids(20), "c4": ids(30, first=1000)}, batch_size=2000)[0]
    assert (windows.diff(dim=1) == 1).all()
    starts = set(windows[:, 0].tolist())
    assert starts == {*range(20 - CONTEXT), *range(1000, 1030 - CONTEXT)}  # every place there is, both ends too


@pytest.mark.parametrize("shares", [{"b": 0.5, "a": 0.2, "c": 0.3}, {"a": 0.0, "b": 1.0}, {"a": 1.0}])
def test_domains_appear_by_their_share(shares: dict[str, float]) -> None:
    domains = {name: ids(100, first=100 * number) for number, name in enumerate(sorted(shares))}
    windows = TrainingBatches(domains, shares, seed=5, steps=1, batch_size=20_000, context=CONTEXT)[0]
    seen = np.bincount(windows[:, 0].numpy() // 100, minlength=len(shares)) / 20_000
    assert seen == pytest.approx([shares[name] for name in sorted(shares)], abs=0.015)


def test_a_text_of_a_single_window_is_read_whole() -> None:
    windows = training({"book": ids(CONTEXT + 1)})[7]
    assert torch.equal(windows, torch.arange(CONTEXT + 1).expand(4, -1))


def test_validation_windows_follow_each_other_and_share_one_token() -> None:
    windows = torch.cat(validation(ids(100), limit=1000))
    assert torch.equal(windows[:, 0], torch.arange(0, 96, CONTEXT))
    assert torch.equal(windows[1:, 0], windows[:-1, -1])
    targets = windows[:, 1:].flatten()
    assert torch.equal(targets, torch.arange(1, 97))  # each token is scored once, none is left out


def test_validation_is_the_same_whenever_it_is_read() -> None:
    first, second = (validation(ids(200), limit=150, batch_size=4) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("limit", [8, 15, 16, 40, 99, 100])
def test_validation_scores_no_more_tokens_than_the_limit(limit: int) -> None:
    scored = sum(batch[:, 1:].numel() for batch in validation(ids(100), limit=limit))
    assert limit - CONTEXT < scored <= min(limit, 99)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 100])
def test_the_batch_size_changes_nothing_that_is_scored(batch_size: int) -> None:
    batches = validation(ids(200), limit=96, batch_size=batch_size)
    assert all(len(batch) <= batch_size for batch in batches)
    assert torch.equal(torch.cat(batches), torch.cat(validation(ids(200), limit=96, batch_size=1)))


@pytest.mark.parametrize("tokens", [82, 83, 90, 100, 1000])
def test_test_windows_are_as_many_at_the_end_and_share_no_token_with_valid_ones(tokens: int) -> None:
    valid, test = (torch.cat(validation(ids(tokens), limit=47, evaluate=split)) for split in ("valid", "test"))
    assert len(valid) == len(test) == 5
    assert not set(valid.flatten().tolist()) & set(test.flatten().tolist())
    assert test[-1, -1] == tokens - 1
    assert torch.equal(test[1:, 0], test[:-1, -1])


@pytest.mark.parametrize("tokens", [CONTEXT + 1, 80, 81])
def test_a_text_too_short_for_both_splits_is_refused_with_what_it_needs(tokens: int) -> None:
    assert validation(ids(tokens), limit=40)
    with pytest.raises(
        UserError, match=f"^data.evaluate: 'test' needs .* 82 tokens for .*=40, but there are {tokens}$"
    ):
        validation(ids(tokens), limit=40, evaluate="test")


def test_a_validation_text_of_a_single_window_is_scored_once() -> None:
    assert [batch.tolist() for batch in validation(ids(CONTEXT + 1), limit=1000)] == [[list(range(CONTEXT + 1))]]


def test_a_validation_text_shorter_than_a_window_is_refused_with_the_reason() -> None:
    with pytest.raises((UserError, ValueError), match="context"):
        validation(ids(CONTEXT), limit=1000)


@pytest.mark.parametrize("tokens", [3, CONTEXT])
def test_a_training_text_shorter_than_a_window_is_refused_with_the_reason(tokens: int) -> None:
    with pytest.raises((UserError, ValueError), match="context"):
        training({"book": ids(tokens), "c4": ids(tokens)})[0]
