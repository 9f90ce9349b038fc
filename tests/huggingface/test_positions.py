"""A Llama with scaled angles, read from its folder, has the logits that it has in transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from components.attention import PLAIN
from mta_lab.config.checkpoint import sizes_of
from mta_lab.model import Decoder
from mta_lab.training import tensors
from tests.config.helpers import layered

BANDS = {"factor": 4.0, "original_max_position_embeddings": 64}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"factor": 4.0},
    "llama3": {**BANDS, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "yarn": BANDS,
}


@pytest.mark.parametrize("kind", KINDS)
def test_scaled_angles_give_the_logits_of_transformers(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from mta_lab.huggingface.importing import import_weights

    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256}
    rope = {"rope_type": kind, "rope_theta": 1e4, **KINDS[kind]}
    settings = transformers.LlamaConfig(**sizes, rms_norm_eps=1e-5, rope_parameters=rope, tie_word_embeddings=True)
    llama = transformers.LlamaForCausalLM(settings).eval()
    llama.save_pretrained(tmp_path)
    run = layered({"model": {**sizes_of(tmp_path), "context": 128}})
    import_weights(tmp_path, tmp_path / "weights", run)
    decoder = Decoder(run.model, PLAIN).eval()
    decoder.load_state_dict(tensors.read(tmp_path / "weights"))
    tokens_BT = torch.randint(300, (2, 100))
    with torch.no_grad():
        torch.testing.assert_close(decoder(tokens_BT), llama(tokens_BT).logits, rtol=0, atol=1e-5)
