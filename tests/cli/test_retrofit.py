"""`mta-lab retrofit`: operations in somebody's Llama, which computes what it did before."""

import json
import sys
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
def test_a_tokenizer_with_more_entries_than_the_model_is_refused(lab: Command, llama: "PreTrainedModel") -> None:
    from mta_lab.data.tokenizer import train
    from mta_lab.huggingface.writing import tokenizer_of

    tokenizer_of(train(["a river and old trees, and another river"], 270), 0, 128).save_pretrained("llama")
    said = "llama: the tokenizer has 270 entries, and the model an embedding for 260; give the model its own tokenizer"
    assert lab("retrofit", "llama", "--to", "model").complaint == said
