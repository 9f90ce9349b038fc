"""The recorded cost of a run: time of its steps, memory, operations."""

import mmap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mta_lab.data import Corpus
from mta_lab.model import build_model
from mta_lab.training import memory
from mta_lab.training.flops import ATTENTION, flops_per_token
from mta_lab.training.memory import PeakMemory
from mta_lab.training.run import train
from tests.training.conftest import Configure

MB = 1 << 20
linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of memory")


def flops(configure: Configure, **settings: Any) -> float:
    config = configure({key.replace("__", "."): value for key, value in settings.items()})
    tokens = torch.zeros(1, config.model.context + 1, dtype=torch.int64)
    return flops_per_token(build_model(config, 0), tokens, config.training.precision)


def weights(width: int, layers: int, hidden: int, vocabulary: int) -> int:
    """Of all matrices, the embedding once: as many multiplications and additions a token."""
    return layers * (4 * width * width + 3 * width * hidden) + vocabulary * width


@pytest.mark.parametrize("impl", ["sdpa", "fused", "eager"])
def test_operations_are_those_of_the_matrices_and_the_map(configure: Configure, impl: str) -> None:
    """Forward costs 2 a weight, backward 4; each map 4 d forward, and 8 or 10 d backward.

    That depends on the implementation.
    """
    try:
        found = flops(configure, attention={"name": "softmax", "impl": impl})
    except ValueError as error:
        pytest.skip(str(error))
    tokens, layers = 16, 4
    keys, backward = (tokens, 2) if impl == "eager" else ((tokens + 1) / 2, 2.5)
    attention = layers * 16 * keys * 4 * (1 + backward)
    linear = 6 * weights(16, layers, hidden=48, vocabulary=300)
    assert found == pytest.approx(linear + attention)


def test_the_convolution_counts(configure: Configure) -> None:
    attention = {"name": "multi_token", "post_softmax": [], "norm": "none"}
    sizes = [[1, 1], [2, 3], [4, 5]]
    found = [
        flops(configure, attention={**attention, "pre_softmax": [{"name": "key_query", "kernel": k, "layers": "all"}]})
        for k in sizes
    ]
    assert found == sorted(found)
    assert len(set(found)) == 3


def test_counting_leaves_the_model_as_it_was(configure: Configure) -> None:
    config = configure({"attention": {"name": "softmax", "dropout": 0.5}})
    model = build_model(config, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = torch.get_rng_state()
    flops_per_token(model, torch.zeros(1, 17, dtype=torch.int64), "fp32")
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), stream)


def test_a_run_says_what_it_cost(configure: Configure, corpus: Corpus) -> None:
    config = configure()
    result = train(config, corpus)
    assert 0 < result.training_seconds < result.seconds
    assert result.tokens_per_second == pytest.approx(12 * 4 * 16 / result.training_seconds)
    assert result.step_seconds > 0
    assert result.flops_per_token == pytest.approx(flops(configure))
    assert result.peak_memory is None or 0 <= result.peak_memory < 1 << 40
    whole = {domain.name: min(200, domain.valid_tokens - 1) // 16 * 16 for domain in corpus.domains}
    assert [validation.scored for validation in result.validations] == [whole] * 2


def touched(size: int) -> mmap.mmap:
    """Memory that is resident, and returned to the system when it is closed."""
    block = mmap.mmap(-1, size)
    for place in range(0, size, mmap.PAGESIZE):
        block[place] = 1
    return block


@pytest.mark.parametrize(
    ("attend", "more"),
    [
        (torch.ops.aten._scaled_dot_product_flash_attention, (0.0, True)),
        (torch.ops.aten._scaled_dot_product_efficient_attention, (None, False, 0.0, True)),
    ],
)
def test_attention_of_a_gpu_counts_the_visible_half_of_the_map(attend: Any, more: tuple[Any, ...]) -> None:
    query, key, value = (torch.empty(2, 3, 8, 4, device="meta", dtype=torch.float16) for _ in range(3))
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        attend(query, key, value, *more)
    assert counter.get_total_flops() == 2 * 2 * 3 * (8 * 9 // 2) * (4 + 4)


@linux
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU's memory counts there")
def test_the_peak_is_what_is_held_at_most_beyond_the_start() -> None:
    touched(256 * MB).close()  # an earlier, higher peak
    held = touched(64 * MB)
    peak = PeakMemory()
    touched(96 * MB).close()
    touched(32 * MB).close()
    found = peak.bytes()
    held.close()
    assert found is not None
    assert found + MB >= 96 * MB
    assert found < 112 * MB


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU's memory counts there")
def test_a_system_that_does_not_tell_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    assert PeakMemory().bytes() is None
    monkeypatch.undo()
    monkeypatch.setattr(memory, "STATUS", tmp_path / "absent")
    assert PeakMemory().bytes() is None
