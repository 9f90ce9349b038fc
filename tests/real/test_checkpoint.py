"""A Llama that transformers saved, as the start of our runs: our decoder has its logits."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mta_lab.config import Layer, RunConfig, resolve_run, scale_layer
from mta_lab.errors import UserError
from mta_lab.model import build_model
from mta_lab.training.parents import take_weights
from tests.huggingface.examples import tokens
from tests.real.extras import WITH_HF

pytestmark = [pytest.mark.real, WITH_HF]
INSERTED = {"name": "multi_token", "norm": "none", "impl": "eager"}


@pytest.fixture(scope="module")
def importing() -> ModuleType:
    from mta_lab.huggingface import importing

    return importing


@pytest.fixture
def llama(tmp_path: Path) -> tuple[Path, torch.Tensor]:
    """A saved Llama, and its logits."""
    from tests.real import llamas

    model = llamas.llama()
    model.save_pretrained(tmp_path / "llama")
    with torch.no_grad():
        return tmp_path / "llama", model(tokens()).logits


def run_of(folder: Path, attention: object) -> RunConfig:
    settings = {"init.checkpoint": str(folder), "data.tokens": "tokens", "attention": attention}
    return resolve_run([scale_layer("nano"), Layer("test", settings)])


@pytest.mark.parametrize("attention", ["softmax", INSERTED], ids=["as it is", "with operations inserted"])
def test_our_decoder_computes_the_logits_of_the_llama(importing, llama, attention, tmp_path):
    folder, expected = llama
    config = run_of(folder, attention)
    importing.import_weights(folder, tmp_path / "weights.pt", config)
    model = build_model(config, 0)
    take_weights(tmp_path / "weights.pt", model, config)
    with torch.no_grad():
        found = model(tokens())
    assert expected.abs().max() > 5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_weights_of_another_size_are_refused_by_name(importing, llama, tmp_path):
    folder, _ = llama
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "num_key_value_heads": 4}))
    with pytest.raises(
        UserError, match=r"blocks.0.attention.key.weight: got \[16, 64\], allowed: \[32, 64\], by its co"
    ):
        importing.import_weights(folder, tmp_path / "weights.pt", run_of(folder, "softmax"))


def test_a_damaged_file_is_said(importing, llama, tmp_path):
    folder, _ = llama
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match=r"init.checkpoint: .*model.safetensors cannot be read \(.*\); save the model"):
        importing.import_weights(folder, tmp_path / "weights.pt", run_of(folder, "softmax"))


def test_a_weight_in_two_files_is_refused(importing, llama, tmp_path):
    folder, _ = llama
    (folder / "model-00001-of-00002.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"model.safetensors: .* is in another file, too; allowed: each weight once"):
        importing.import_weights(folder, tmp_path / "weights.pt", run_of(folder, "softmax"))
