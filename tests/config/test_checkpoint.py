"""A run that starts from a Llama's folder: its sizes, its identity, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.positions import RotaryNtk
from components.positions.llama import rope_parameters
from mta_lab.config import InitConfig, RunConfig, fingerprint, identified_by, plain
from mta_lab.config.checkpoint import sizes_of
from mta_lab.errors import UserError
from tests.test_sweep import load

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"},
    "tie_word_embeddings": True,
}
MTA = {"name": "multi_token", "norm": "none"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as transformers saves it, with some bytes as weights."""
    home = tmp_path / "llama"
    home.mkdir()
    (home / "config.json").write_text(json.dumps(LLAMA))
    (home / "model.safetensors").write_bytes(b"weights")
    return home


def row(folder: Path, tmp_path: Path, *settings: str, **more: Any) -> RunConfig:
    init = {"checkpoint": str(folder), **more.pop("init", {})}
    rows = {"mta": {"attention": MTA, "init": init, "data.tokens": "tokens", **more}}
    return load(tmp_path, {"rows": rows}, *settings).rows[0].config


def test_a_run_has_the_sizes_of_its_checkpoint_and_the_context_of_its_scale(folder: Path, tmp_path: Path) -> None:
    model = row(folder, tmp_path).model
    assert (model.width, model.layers, model.heads, model.kv_heads, model.vocabulary) == (64, 3, 8, 2, 500)
    assert (model.rope_theta, model.feed_forward_multiple, model.context) == (500_000.0, 192, 128)
    assert row(folder, tmp_path, "model.context=64", "model.rope_theta=1000").model.context == 64


def test_an_epsilon_that_a_file_kept_in_float32_is_the_decoders(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**LLAMA, "rms_norm_eps": 9.999999747378752e-06}))
    assert sizes_of(folder)["width"] == 64


@pytest.mark.parametrize("rope", [{"rope_parameters": {"rope_type": "default"}}, {"rope_parameters": None}])
def test_the_angles_may_stand_beside_their_kind(folder: Path, rope: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps({**LLAMA, **rope, "rope_theta": 20000}))
    assert sizes_of(folder)["rope_theta"] == 20_000.0


@pytest.mark.parametrize("kind", ["linear", "llama3", "yarn"])
def test_scaled_angles_are_positions_that_are_written_as_they_were_read(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    """And the context of the run does not move them."""
    rope: dict[str, Any] = {"rope_type": kind, "factor": 4.0, "rope_theta": 5e5}
    if kind != "linear":
        rope["original_max_position_embeddings"] = 1024
    if kind == "llama3":
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    (folder / "config.json").write_text(json.dumps({**LLAMA, "rope_parameters": rope}))
    model = row(folder, tmp_path).model
    assert (model.positions.name, model.rope_theta) == (f"rotary_{kind}", 5e5)
    written = rope_parameters(model.positions, context=model.context, head_width=8)
    assert rope.items() <= (written or {}).items()
    longer = row(folder, tmp_path, "model.positions=rotary_ntk").model.positions
    assert longer == RotaryNtk(theta=5e5)
    with pytest.raises(UserError, match=r"positions: got 'alibi', allowed for a checkpoint: rotary ones"):
        row(folder, tmp_path, "model.positions=alibi")
    with pytest.raises(UserError, match=r"initialiser: got 'mup', allowed for a checkpoint, whose weights are not"):
        row(folder, tmp_path, "model.initialiser=mup")


def test_heads_that_share_no_keys_may_be_said_by_null(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**LLAMA, "num_key_value_heads": None}))
    assert "kv_heads" not in sizes_of(folder)


def test_weights_are_identified_by_their_content_wherever_they_are(folder: Path, tmp_path: Path) -> None:
    first = identified_by(InitConfig(checkpoint=str(folder)))
    shutil.copytree(folder, tmp_path / "copy")
    assert identified_by(InitConfig(checkpoint=str(tmp_path / "copy"))) == first
    (tmp_path / "copy" / "model.safetensors").write_bytes(b"others")
    assert identified_by(InitConfig(checkpoint=str(tmp_path / "copy"))) != first
    assert identified_by(InitConfig()) == ""


def test_a_run_is_another_one_with_other_weights_and_not_in_another_folder(folder: Path, tmp_path: Path) -> None:
    config = row(folder, tmp_path)
    moved = replace(config, init=InitConfig(checkpoint="elsewhere", content="0" * 16))
    assert fingerprint(config, "text", "1" * 16) == fingerprint(moved, "text", "1" * 16)
    assert fingerprint(config, "text", "1" * 16) != fingerprint(config, "text", "2" * 16)
    assert "init" not in plain(replace(config, init=InitConfig()))


def test_with_the_content_said_no_folder_is_needed(folder: Path, tmp_path: Path) -> None:
    name = identified_by(InitConfig(checkpoint=str(folder)))
    config = row(tmp_path / "gone", tmp_path, init={"content": name}, **{"model.heads": 8})
    assert identified_by(config.init) == name
    with pytest.raises(UserError, match=f"init.content: got {'0' * 16}, but the weights in .*llama are {name}; set it"):
        identified_by(InitConfig(checkpoint=str(folder), content="0" * 16))


def test_a_run_from_a_checkpoint_may_have_no_steps_and_stages(folder: Path, tmp_path: Path) -> None:
    stages = {"on": {"training.steps": 5, "training.warmup_steps": 1, "attention": MTA}}
    start = {"init": {"checkpoint": str(folder)}, "data.tokens": "tokens", "training.steps": 0}
    start |= {"training.warmup_steps": 0, "training.validations": 1}
    found = load(tmp_path, {"stages": stages, "rows": {"as it is": start, "on": {**start, "stages": "on"}}})
    assert [one.config.training.steps for one in found.rows] == [0, 5]
    assert [bool(one.config.init.checkpoint) for one in found.rows] == [True, False]
    assert found.rows[1].config.model == found.rows[0].config.model


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another model": ({"model_type": "gpt2"}, r"model_type: got 'gpt2', allowed: 'llama'"),
    "scaled angles": (
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
        r"rope_type: got 'dynamic', allowed: default, linear, llama3, yarn",
    ),
    "scaled angles beside others": (
        {"rope_scaling": {"type": "longrope"}},
        r"rope_type: got 'longrope', allowed: default, linear, llama3, yarn",
    ),
    "scaled angles without a factor": (
        {"rope_scaling": {"type": "linear"}},
        r"linear: factor is not set; allowed: all",
    ),
    "scaled angles of another kind": (
        {"rope_scaling": {"type": "yarn", "factor": 2.0, "mscale": 0.7}},
        r"mscale: got 0.7, which positions here do not have; allowed beside 'yarn': factor, beta_slow",
    ),
    "a factor that makes no sense": (
        {"rope_scaling": {"type": "linear", "factor": 0.5}},
        r"linear: factor: got 0.5, allowed: 1 or more",
    ),
    "a head of its own": ({"tie_word_embeddings": False}, r"tie_word_embeddings: got False, allowed: True"),
    "another epsilon": ({"rms_norm_eps": 1e-6}, r"rms_norm_eps: got 1e-06, allowed: 1e-05"),
    "a window": ({"sliding_window": 8}, r"sliding_window: got 8, allowed: None"),
    "wide heads": ({"head_dim": 16}, r"head_dim: got 16, allowed: 8"),
    "a narrow feed-forward": ({"intermediate_size": 100}, r"intermediate_size: got 100, allowed: 8/3 of hidden_size"),
    "angles of words": ({"rope_parameters": {"rope_theta": "large"}}, r"rope_theta: got 'large', allowed: a number"),
    "angles that are no settings": ({"rope_parameters": 3}, r"rope_parameters: got 3, allowed: a mapping"),
    "no width": ({"hidden_size": None}, r"hidden_size: got None, allowed: a whole number, 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_decoder_cannot_be_is_refused_by_its_key(case: str, folder: Path) -> None:
    changed, said = REFUSED[case]
    (folder / "config.json").write_text(json.dumps({**LLAMA, **changed}))
    with pytest.raises(UserError, match=rf"init.checkpoint: .*llama: config.json: {said}"):
        sizes_of(folder)


def test_a_folder_that_is_no_llamas_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"init.checkpoint: .*gone is no folder of a Llama: config.json: No such file"):
        row(tmp_path / "gone", tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"init.checkpoint: .*llama has no \*.safetensors; save the model"):
        identified_by(InitConfig(checkpoint=str(folder)))


def test_what_does_not_fit_the_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.width: got 128, allowed: 64, as the checkpoint in .*llama has it"):
        row(folder, tmp_path, "model.width=128")
    with pytest.raises(UserError, match=r"attention: norm: got 'gate' after 'none', which changes the output"):
        row(folder, tmp_path, attention="multi_token")
    with pytest.raises(
        UserError, match=r"data: got no tokens.* type `mta-lab data import SOURCE --tokenizer .*llama/to"
    ):
        row(folder, tmp_path, **{"data.tokens": None})
    row(folder, tmp_path, **{"data.tokens": None, "data.tokenizer": str(folder / "tokenizer.json")})
    with pytest.raises(UserError, match=r"init.content: got 'abc', allowed: 16 hex digits, beside a checkpoint"):
        row(folder, tmp_path, init={"content": "abc"})
