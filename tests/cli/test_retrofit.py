"""`mta-lab retrofit`: operations in somebody's Llama, which computes what it did before."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from tests.cli.conftest import Command
from tests.huggingface.examples import SIZES, tokens
from tests.real.extras import WITH_HF

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def test_without_the_extra_it_says_what_to_type(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)  # as if it were not installed
    complaint = lab("retrofit", "llama", "--to", "model").complaint
    assert complaint.startswith("mta-lab retrofit: needs ")
    assert complaint.endswith("safetensors; type: pip install 'mta-lab[hf]'")


@pytest.fixture
def llama(lab: Command) -> "PreTrainedModel":
    """A Llama in the folder `llama`, with a tokenizer of all bytes."""
    from mta_lab.data.tokenizer import train
    from mta_lab.huggingface.writing import tokenizer_of
    from tests.real.llamas import llama

    model = llama()
    model.save_pretrained("llama")
    tokenizer_of(train(["a river and old trees"], 257), 0, 128).save_pretrained("llama")
    return model


@pytest.mark.real
@WITH_HF
def test_the_logits_are_those_of_before_to_the_bit(lab: Command, llama: "PreTrainedModel") -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = lab("retrofit", "llama", "--to", "model")
    assert done.status == 0, done.err
    convolutions, mixings = 2 * 8 * 6 * 11, 2 * 4 * 8 * 8
    assert f"{convolutions + mixings:,} of them new; logits equal to the bit" in done.out
    model = AutoModelForCausalLM.from_pretrained("model")
    with torch.no_grad():
        assert torch.equal(model(tokens()).logits, llama(tokens()).logits)
    config = json.loads(Path("model/config.json").read_text())
    assert config["pre_softmax"][0]["layers"] == [3]
    assert config["num_key_value_heads"] == SIZES["num_key_value_heads"]
    assert AutoTokenizer.from_pretrained("model")("a river").input_ids
    assert "1,568 new parameters" in Path("model/README.md").read_text()


@pytest.mark.real
@WITH_HF
def test_with_softmax_it_is_the_llama_as_a_folder(lab: Command, llama: "PreTrainedModel") -> None:
    done = lab("retrofit", "llama", "--attention", "softmax", "--to", "model")
    assert " is written: LlamaForCausalLM, " in done.out
    assert " 0 of them new" in done.out


@pytest.mark.real
@WITH_HF
@pytest.mark.parametrize(
    ("angles", "scaling"),
    [
        ({"rope_type": "default", "rope_theta": 5e4}, None),
        ({"rope_type": "linear", "factor": 2.0, "rope_theta": 5e4}, {"rope_type": "linear", "factor": 2.0}),
    ],
    ids=["plain", "scaled"],
)
def test_transformers_4_finds_the_angles_of_positions_where_it_looks(
    lab: Command, llama: "PreTrainedModel", angles: dict[str, object], scaling: object
) -> None:
    llama.config.rope_parameters = angles
    llama.save_pretrained("llama")
    assert lab("retrofit", "llama", "--attention", "softmax", "--to", "model").status == 0
    config = json.loads(Path("model/config.json").read_text())
    assert (config["rope_parameters"], config["rope_theta"], config.get("rope_scaling")) == (angles, 5e4, scaling)


@pytest.mark.real
@WITH_HF
def test_a_folder_named_as_a_packages_llama_has_not_its_licence(lab: Command, llama: "PreTrainedModel") -> None:
    Path("llama").rename("smollm2")
    assert lab("retrofit", "smollm2", "--to", "model").status == 0
    card = Path("model/README.md").read_text()
    assert "The licence of the weights is the Llama's." in card
    assert "Apache" not in card


@pytest.mark.real
@WITH_HF
@pytest.mark.parametrize(
    ("attention", "said"),
    [
        ("multi_token", "--attention: norm: got 'gate' after 'none', which changes the output before any step"),
        ("differential", "--attention: name: 'softmax' cannot go on as 'differential'"),
        ("{name: multi_token, norm: none, pre_softmax: [{name: key_query, init: zero}]}", "changes the output before"),
        (
            "{name: multi_token, norm: none, post_softmax: [{name: head_mixing, group: 3}]}",
            "group: got 3, allowed: a di",
        ),
        ("multitoken", "--attention: no attention named 'multitoken' (did you mean 'multi_token'?)"),
    ],
)
def test_what_would_change_the_llama_is_refused_in_one_line(
    lab: Command, llama: "PreTrainedModel", attention: str, said: str
) -> None:
    assert said in lab("retrofit", "llama", "--attention", attention, "--to", "model").complaint
    assert not Path("model").exists()


@pytest.mark.real
@WITH_HF
def test_a_folder_without_a_fitting_llama_is_refused_in_one_line(lab: Command, llama: "PreTrainedModel") -> None:
    assert (
        "nowhere: has no config.json of a model (FileNotFoundError" in lab("retrofit", "nowhere", "--to", "m").complaint
    )
    config = Path("llama/config.json")
    before = config.read_text()
    config.write_text(before.replace('"model_type": "llama"', '"model_type": "gpt2"'))
    assert lab("retrofit", "llama", "--to", "m").complaint == "llama: config.json is of a 'gpt2', allowed: 'llama'"
    config.write_text(before)
    Path("llama/model.safetensors").write_bytes(b"damaged")
    assert "llama: cannot be opened (" in lab("retrofit", "llama", "--to", "m").complaint


@pytest.mark.real
@WITH_HF
def test_a_llama_without_a_tokenizer_is_refused_with_what_adds_one(lab: Command, llama: "PreTrainedModel") -> None:
    llama.save_pretrained("bare")
    complaint = lab("retrofit", "bare", "--to", "model").complaint
    assert complaint.startswith("bare: has no tokenizer; in Python, `AutoTokenizer.")


@pytest.mark.real
@WITH_HF
@pytest.mark.parametrize(("attention", "dropout"), [("softmax", 0.3), ("{name: softmax, dropout: 0.1}", 0.1)])
def test_the_llamas_dropout_stays_unless_the_attention_has_its_own(
    lab: Command, llama: "PreTrainedModel", attention: str, dropout: float
) -> None:
    llama.config.attention_dropout = 0.3
    llama.save_pretrained("llama")
    assert lab("retrofit", "llama", "--attention", attention, "--to", "model").status == 0
    assert json.loads(Path("model/config.json").read_text())["attention_dropout"] == dropout


QUERY, HEAD = "model.layers.2.self_attn.q_proj.weight", "lm_head.weight"
DAMAGES: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], dict[str, object], str]] = {
    "a weight is missing": (lambda weights: weights.pop(QUERY), {}, f"{QUERY} is missing; allowed: all weights of"),
    "an untied head is missing": (lambda weights: None, {"tie_word_embeddings": False}, f"{HEAD} is missing; allowed"),
    "a head is tied and another": (
        lambda weights: weights.update({HEAD: torch.ones(260, 64)}),
        {},
        f"{HEAD} is not the embedding, but its config.json ties the embeddings",
    ),
    "a bias has no place": (
        lambda weights: weights.update({QUERY.replace("weight", "bias"): torch.ones(64)}),
        {},
        "model.layers.2.self_attn.q_proj.bias has no place in the Llama of its config.json; allowed",
    ),
    "a layer has no place": (
        lambda weights: None,
        {"num_hidden_layers": 3},
        "model.layers.3.input_layernorm.weight has no place in the Llama",
    ),
    "a weight has another shape": (
        lambda weights: None,
        {"num_key_value_heads": 4},
        "model.layers.0.self_attn.k_proj.weight: got [16, 64], allowed: [32, 64], by its config.json",
    ),
    "a value is infinite": (
        lambda weights: weights[QUERY].fill_(torch.inf),
        {},
        f"{QUERY} has values that are not finite; save the model again",
    ),
    "a window": (lambda weights: None, {"sliding_window": 8}, "config.json: sliding_window: got 8, allowed: none"),
}
"""what is done to a Llama's weights and settings, and what is said of it"""


@pytest.mark.real
@WITH_HF
@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_of_another_model_than_config_json_says_are_refused(
    lab: Command, llama: "PreTrainedModel", damage: str
) -> None:
    """Transformers opens most of them with a warning: it draws what is missing."""
    from safetensors.torch import load_file, save_file

    change, settings, said = DAMAGES[damage]
    weights, config = load_file("llama/model.safetensors"), Path("llama/config.json")
    change(weights)
    save_file(weights, "llama/model.safetensors", metadata={"format": "pt"})
    config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))
    assert lab("retrofit", "llama", "--to", "model").complaint.startswith(f"llama: {said}")
    assert not Path("model").exists()


@pytest.mark.real
@WITH_HF
def test_what_earlier_versions_saved_and_nothing_reads_is_left_out(lab: Command, llama: "PreTrainedModel") -> None:
    from safetensors.torch import load_file, save_file

    angles = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file(load_file("llama/model.safetensors") | angles, "llama/model.safetensors", metadata={"format": "pt"})
    assert lab("retrofit", "llama", "--to", "model").status == 0


@pytest.mark.real
@WITH_HF
def test_a_damaged_tokenizer_is_said_to_be_what_cannot_be_opened(lab: Command, llama: "PreTrainedModel") -> None:
    Path("llama/tokenizer.json").write_text("{}")
    assert "llama: the tokenizer cannot be opened (" in lab("retrofit", "llama", "--to", "model").complaint


@pytest.mark.real
@WITH_HF
def test_a_tokenizer_with_more_entries_than_the_model_is_refused(lab: Command, llama: "PreTrainedModel") -> None:
    from mta_lab.data.tokenizer import train
    from mta_lab.huggingface.writing import tokenizer_of

    tokenizer_of(train(["a river and old trees, and another river"], 270), 0, 128).save_pretrained("llama")
    said = "llama: the tokenizer has 270 entries, and the model an embedding for 260; give the model its own tokenizer"
    assert lab("retrofit", "llama", "--to", "model").complaint == said
