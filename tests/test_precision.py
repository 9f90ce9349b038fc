"""`training.precision: auto`: measured, remembered, said, and chosen before a run is identified."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta_lab import precision
from mta_lab.config import RunConfig, fingerprint
from mta_lab.devices import child
from mta_lab.devices.visible import Gpu
from mta_lab.precision import WORTH, cache_file, resolve_auto
from mta_lab.sweep import load_sweep
from mta_lab.training.module import DecoderModule
from tests.config.helpers import config

TINY = ("model.width=16", "model.heads=2", "model.vocabulary=300", "model.context=8", "model.feed_forward_multiple=16")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache directory of the test's own, and little time to measure."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    yield
    precision._remembered.cache_clear()


def auto(*settings: str) -> RunConfig:
    return config(*TINY, "training.precision=auto", *settings)


def resolved_auto(run: RunConfig, like: RunConfig | None = None) -> tuple[str, list[str]]:
    """The precision that a new process would come to, and what it says."""
    precision._remembered.cache_clear()
    said: list[str] = []
    return resolve_auto(run, like or run, said.append).training.precision, said


def remember(ratio: float) -> None:
    """Write down that bf16 was `ratio` times as fast whenever it was measured."""
    known = json.loads(cache_file().read_text())
    cache_file().write_text(json.dumps(dict.fromkeys(known, ratio)))


def test_what_it_is_trained_by_has_no_part_in_the_measurement() -> None:
    """Plain attention has no losses of its own, which a step would miss."""
    trained = auto("training.optimizer=muon", "training.z_loss=0.1", "training.auxiliary={load_balance: 1.0}")
    assert precision._probe(trained) == precision._probe(auto())


def test_a_smaller_batch_is_measured_whatever_is_read_at_a_time() -> None:
    assert precision._probe(auto("training.batch_size=1024", "training.micro_batch=1024")).training.batch_size == 512


def test_it_is_measured_once_and_then_remembered() -> None:
    chosen, (line,) = resolved_auto(auto())
    assert chosen in ("fp32", "bf16")
    assert f"auto is {chosen}" in line
    assert "measured just now" in line
    (ratio,) = json.loads(cache_file().read_text()).values()
    assert f"{ratio:.2f} times" in line
    assert (chosen == "bf16") == (ratio >= WORTH)
    again, (line,) = resolved_auto(auto())
    assert again == chosen
    assert "measured before" in line


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, "fp32"), (1.0, "fp32"), (WORTH, "bf16"), (3.0, "bf16")])
def test_bf16_is_chosen_where_it_is_clearly_faster(ratio: float, expected: str) -> None:
    resolved_auto(auto())
    remember(ratio)
    assert resolved_auto(auto())[0] == expected


def test_it_says_so_once_however_many_rows_ask() -> None:
    said: list[str] = []
    for attention in ("softmax", "multi_token", "talking_heads"):
        resolve_auto(auto(f"attention={attention}"), auto(), said.append)
    assert len(said) == 1


def test_the_attention_and_the_seed_have_no_part_in_it_but_the_sizes_have() -> None:
    resolved_auto(auto())
    resolved_auto(auto("attention=multi_token", "seed=3"))
    assert len(json.loads(cache_file().read_text())) == 1
    resolved_auto(config(*TINY[1:], "model.width=32", "training.precision=auto"))
    assert len(json.loads(cache_file().read_text())) == 2


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": "b"}', '{"a": null}'])
def test_a_damaged_memory_is_measured_anew(content: str) -> None:
    cache_file().parent.mkdir(parents=True)
    cache_file().write_text(content)
    assert "measured just now" in resolved_auto(auto())[1][0]
    assert len(json.loads(cache_file().read_text())) == 1


def test_a_memory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "mta-lab").write_text("a file where a directory should be")
    chosen, (line,) = resolved_auto(auto())
    assert chosen in ("fp32", "bf16")
    assert "not kept" in line


def test_another_process_measures_it_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU's memory is free again when that process ends."""
    monkeypatch.setattr(child, "gpus", lambda: (Gpu("0", "a GPU"),))
    with child.computing() as call:
        assert call(os.getpid) != os.getpid()
        assert call(precision.measure, config(*TINY, "training.batch_size=1")) > 0


def test_a_precision_that_is_set_is_left_alone() -> None:
    for name in ("fp32", "bf16"):
        assert resolved_auto(config(*TINY, f"training.precision={name}")) == (name, [])
    assert not cache_file().exists()


@pytest.mark.parametrize(("ratio", "expected"), [(0.9, "fp32"), (2.0, "bf16")])
def test_a_run_is_identified_by_the_precision_that_runs(ratio: float, expected: str) -> None:
    resolved_auto(auto())
    remember(ratio)
    precision._remembered.cache_clear()
    chosen = resolve_auto(auto(), auto(), lambda line: None)
    assert fingerprint(chosen, "text") == fingerprint(config(*TINY, f"training.precision={expected}"), "text")


def test_all_rows_of_a_sweep_get_the_baselines(tmp_path: Path) -> None:
    file = tmp_path / "rows.yaml"
    said: list[str] = []

    def choose(run: RunConfig, baseline: RunConfig) -> RunConfig:
        return resolve_auto(run, baseline, said.append)

    settings = (*TINY[1:], "training.precision=auto")
    file.write_text("rows:\n  plain: {model.width: 16}\n  wide: {model.width: 32}\n")
    sweep = load_sweep(str(file), scale="nano", settings=settings, resolve_auto=choose)
    assert {row.config.training.precision for row in sweep.rows} <= {"fp32", "bf16"}
    assert len({row.config.training.precision for row in sweep.rows}) == 1
    assert len(said) == 1


def test_a_model_is_never_trained_in_a_precision_that_is_open() -> None:
    with pytest.raises(ValueError, match="'auto' must be resolved before"):
        DecoderModule(auto(), ("a",))
