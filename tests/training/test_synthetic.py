"""Training on a synthetic task: what is read, what counts in the loss, what is an error."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.evaluations import ErrorRate, Predicted
from components.tasks import FindBlock
from mta_lab.config import Layer, RunConfig, resolve, scale_layer
from mta_lab.training.module import DecoderModule
from mta_lab.training.run import train
from mta_lab.training.seeds import derive
from mta_lab.training.synthetic import SequenceBatches, SequencesModule, held_out
from tests.training.recorder import Recording, recording

TASK = FindBlock(letters=3, blocks=3, held_out=10)
TINY = {
    "task": {"name": "find_block", "letters": 3, "blocks": 3, "held_out": 10},
    "model": {"width": 16, "heads": 2, "layers": 2, "context": 20, "vocabulary": 28, "feed_forward_multiple": 16},
    "training": {"steps": 2, "batch_size": 4, "warmup_steps": 1, "learning_rate": 0.01, "validations": 2},
}


def configure(settings: dict[str, Any] | None = None) -> RunConfig:
    return resolve([scale_layer("nano"), Layer("tiny", TINY), Layer("test", settings or {})])


def run(settings: dict[str, Any] | None = None) -> Recording:
    with recording() as seen:
        train(configure(settings), None)
    return seen


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("attention", ["softmax", "multi_token"])
def test_two_steps_without_a_corpus(attention: str) -> None:
    result = train(configure({"attention": attention, "model.layers": 4}), None)
    assert [step for step, _ in result.losses] == [1, 2]
    assert [validation.step for validation in result.validations] == [1, 2]
    for validation in result.validations:
        assert validation.quantity == "error_rate"
        assert validation.scored == {"find_block": 10}
        assert 0 <= validation.domains["find_block"] == validation.score <= 1
    read = 2 * 4 * TASK.context  # the task's length and not the model's
    assert result.tokens_per_second == pytest.approx(read / result.training_seconds)


def test_a_text_task_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="a corpus is needed"):
        train(configure({"task": "language", "model.vocabulary": 300}), None)


def test_a_batch_is_a_pure_function_of_seed_and_step() -> None:
    batches = SequenceBatches(TASK, seed=5, steps=20, batch_size=4)
    in_order = [batches[step] for step in range(20)]
    alone = [batches[step] for step in reversed(range(20))][::-1]
    for one, other in zip(in_order, alone, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    assert len({tokens.numpy().tobytes() for tokens, _ in in_order}) == len(batches) == 20
    other = SequenceBatches(TASK, seed=6, steps=20, batch_size=4)
    assert not torch.equal(other[0][0], batches[0][0])


def test_the_model_reads_the_batch_of_each_step_in_order() -> None:
    seen = run()
    expected = SequenceBatches(TASK, seed=derive(0, "batches"), steps=2, batch_size=4)
    assert all(torch.equal(read, expected[step][0][:, :-1]) for step, read in enumerate(seen.batches))


@pytest.mark.parametrize("evaluate", ["valid", "test"])
def test_the_held_out_sequences_are_read_whole_and_nothing_else(evaluate: str) -> None:
    seen = run({"data.evaluate": evaluate, "training.validations": 1})
    tokens, _ = held_out(TASK, evaluate)
    assert torch.equal(torch.cat(seen.validated), tokens[:, :-1])


def test_test_sequences_are_others_than_valid_ones() -> None:
    task = FindBlock()
    valid, test = ({task.text(sequence) for sequence in held_out(task, split)[0]} for split in ("valid", "test"))
    assert len(valid) == len(test) == 1000
    assert not valid & test


class Oracle(nn.Module):
    """Says the answers it was told; where `wrong` is set, another letter at one place of each."""

    def __init__(self, tokens: Tensor, scored: Tensor, *, wrong: bool) -> None:
        super().__init__()
        self.compiled = False
        said = tokens[:, 1:].clone()
        if wrong:
            said[:, -2] = (said[:, -2] + 1) % 26
        said[~scored] = 0  # nothing is known of what is not asked
        answers = zip(tokens[:, :-1].tolist(), F.one_hot(said, 28), strict=True)
        self.said = {tuple(inputs): logits for inputs, logits in answers}

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([self.said[tuple(sequence.tolist())] for sequence in inputs]).float()


@pytest.mark.parametrize(("wrong", "expected"), [(False, 0.0), (True, 1.0)])
def test_the_error_rate_of_a_model_that_knows_and_of_one_that_errs_once(wrong: bool, expected: float) -> None:
    config = configure()
    module = DecoderModule(config, ("find_block",))
    module.model = Oracle(*held_out(TASK, "valid"), wrong=wrong)  # type: ignore[assignment]
    for index, batch in enumerate(SequencesModule(config, TASK).val_dataloader()[0]):
        module.validation_step(batch, index)
    module.on_validation_epoch_end()
    (validation,) = module.validations
    assert (validation.domains, validation.scored) == ({"find_block": expected}, {"find_block": 10})


def test_one_wrong_letter_makes_an_answer_wrong_and_unscored_tokens_do_not_matter() -> None:
    tokens = torch.tensor([[3, 1, 2, 0]] * 4)
    scored = torch.tensor([[False, True, True]] * 4)
    said = torch.tensor([[1, 2, 0], [4, 2, 0], [1, 2, 4], [1, 3, 4]])
    predicted = Predicted(F.one_hot(said, 5).float(), tokens[:, 1:], scored)
    assert ErrorRate().values(predicted).tolist() == [False, False, True, True]


def test_the_loss_is_that_of_the_scored_tokens() -> None:
    """By hand; and what is predicted elsewhere has no gradient."""
    tokens, scored = TASK.sequences(4, torch.Generator().manual_seed(0))
    logits = torch.randn(4, TASK.context, 28, generator=torch.Generator().manual_seed(1), requires_grad=True)
    losses = Predicted(logits, tokens[:, 1:], scored).losses()
    by_hand = [
        -torch.log_softmax(logits[b, t], dim=-1)[tokens[b, t + 1]].item()
        for b in range(4)
        for t in range(TASK.context - 3, TASK.context)
    ]
    assert losses.tolist() == pytest.approx(by_hand, rel=1e-5)
    losses.mean().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad.abs().sum(-1) > 0).equal(scored)


def test_a_model_that_is_no_number_any_more_fails_with_the_step() -> None:
    module = DecoderModule(configure(), ("find_block",))
    with torch.no_grad():
        module.model.norm.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        module.validation_step(held_out(TASK, "valid"), 0)


@pytest.mark.usefixtures("device")
def test_the_loss_falls() -> None:
    """Within a few steps it learns that the answer is made of letters, and of which."""
    settings = {"training.steps": 30, "training.learning_rate": 0.01, "model.layers": 1}
    found = [loss for _, loss in train(configure(settings), None).losses]
    assert sum(found[-5:]) < sum(found[:5]) - 0.5


def test_the_precision_of_a_run_holds_for_a_synthetic_task_too() -> None:
    config = configure()
    rounded = replace(config, training=replace(config.training, precision="bf16"))
    exact, coarse = train(config, None).losses, train(rounded, None).losses
    assert exact != coarse
    assert [loss for _, loss in coarse] == pytest.approx([loss for _, loss in exact], rel=0.05)
