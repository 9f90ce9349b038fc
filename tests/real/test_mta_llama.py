"""Llama with Multi-Token Attention in transformers, with our decoder as its oracle."""

import re
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from mta_lab.model import build_model
from tests.huggingface.examples import CONTEXT, EXACT, MIXING, OPERATIONS, SIZES, VARIANTS, config_of, tokens
from tests.real.extras import WITH_HF

pytestmark = [pytest.mark.real, WITH_HF]
PORTABLE = """
import sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(f"{sys.argv[1]}/portable", trust_remote_code=True, dtype=torch.float64)
with torch.no_grad():
    torch.save(model(torch.load(f"{sys.argv[1]}/tokens.pt")).logits, f"{sys.argv[1]}/logits.pt")
assert not [name for name in sys.modules if name.partition(".")[0] in ("mta_lab", "components")]
"""
KEPT = {"operations": [0, 0, 10, 0], "exact and joint": [0, 2, 12, 0]}
"""queries that each layer keeps: c_q - 1 for each convolution before and after the softmax"""


@pytest.fixture(scope="module")
def llamas() -> ModuleType:
    from tests.real import llamas

    return llamas


@torch.no_grad()
def logits(model: torch.nn.Module, *given: Tensor, **more: object) -> Tensor:
    found: Tensor = model(*given, **more).logits
    return found


@pytest.mark.parametrize("attention", [OPERATIONS, EXACT, {"pre_softmax": [MIXING]}, {}], ids=str)
def test_operations_that_were_just_inserted_leave_llamas_logits_as_they_are_to_the_bit(llamas, attention):
    plain = llamas.llama()
    model = llamas.inserted(plain, attention)
    assert logits(plain, tokens()).abs().max() > 5
    assert torch.equal(logits(model, tokens()), logits(plain, tokens()))


def test_padding_on_the_left_leaves_them_equal_too(llamas):
    plain = llamas.llama()
    model, (padded, mask) = llamas.inserted(plain, OPERATIONS), left_padded(9)
    given = {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
    assert torch.equal(logits(model, padded, **given)[:, 9:], logits(plain, padded, **given)[:, 9:])


def test_a_plain_llamas_folder_opens_with_operations_at_their_start(llamas, tmp_path):
    plain = llamas.llama()
    plain.save_pretrained(tmp_path)
    config = llamas.MtaLlamaConfig.from_pretrained(tmp_path, **OPERATIONS)
    model, about = llamas.MtaLlamaForCausalLM.from_pretrained(tmp_path, config=config, output_loading_info=True)
    assert not about["unexpected_keys"]
    assert len(about["missing_keys"]) == 2 + 2 * 4
    assert torch.equal(logits(model.eval(), tokens()), logits(plain, tokens()))


@pytest.mark.parametrize("name", VARIANTS)
def test_in_float64_it_computes_what_our_decoder_computes(llamas, name):
    model = llamas.trained(VARIANTS[name]).double()
    decoder = llamas.decoder_of(model, VARIANTS[name])
    found, plain = logits(model, tokens()), logits(llamas.llama().double(), tokens())
    with torch.no_grad():
        torch.testing.assert_close(found, decoder(tokens()), rtol=0, atol=1e-10)
    assert (found - plain).abs().max() > 0.1


@pytest.mark.parametrize("name", VARIANTS)
def test_chunks_of_any_sizes_give_the_logits_of_the_whole(llamas, name):
    from transformers import DynamicCache

    model, given = llamas.trained(VARIANTS[name]).double(), tokens()
    whole = logits(model, given)
    for sizes in ([40], [1] * 40, [7, 1, 1, 11, 20], [3, 2, 30, 5]):
        cache = DynamicCache(config=model.config)
        parts = [logits(model, chunk, cache=cache, use_cache=True) for chunk in given.split(sizes, dim=1)]
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-10)
        if name in KEPT:
            assert [layer.queries.shape[2] for layer in cache.layers] == KEPT[name]


def test_differential_attention_is_that_of_our_decoder_and_cached(llamas):
    from transformers import DynamicCache

    from mta_lab.huggingface.settings import llama_settings
    from mta_lab.huggingface.writing import agreement, llama_of

    config = config_of("differential", kv_heads=8)
    decoder = build_model(config, seed=0).eval()
    model = llama_of(decoder, llama_settings(config))
    found = agreement(model, decoder, tokens())
    assert found.largest > 1
    assert found.difference < 1e-5
    whole, cache = logits(model.double(), tokens()), DynamicCache(config=model.config)
    parts = [logits(model, chunk, cache=cache, use_cache=True) for chunk in tokens().split([7, 1, 12, 20], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-10)


def test_one_query_fewer_in_the_cache_is_too_few(llamas):
    from transformers import DynamicCache

    from mta_lab.huggingface.modeling_mta_llama import KeptQueries

    model, given = llamas.trained(OPERATIONS).double(), tokens()
    cache = DynamicCache(config=model.config)
    cache.layers[2] = KeptQueries(9)
    parts = [logits(model, chunk, cache=cache, use_cache=True) for chunk in given.split(1, dim=1)]
    assert (torch.cat(parts, 1) - logits(model, given)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["operations", "exact and joint", "gate"])
@pytest.mark.parametrize("length", [3, 12], ids=["shorter than the reach", "longer"])
@pytest.mark.parametrize("beams", [1, 3])
def test_cached_generation_gives_the_tokens_of_uncached(llamas, name, length, beams):
    model = llamas.trained(VARIANTS[name]).double()
    cached, uncached = (generated(model, tokens(2, length), num_beams=beams, use_cache=use) for use in (True, False))
    assert cached.shape == (2, length + 25)
    assert torch.equal(cached, uncached)


def test_cached_sampling_draws_the_tokens_of_uncached(llamas):
    model, draws = llamas.trained(OPERATIONS), []
    for cached in (True, False):
        torch.manual_seed(3)
        draws.append(generated(model, tokens(2, 6), do_sample=True, use_cache=cached))
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], generated(model, tokens(2, 6)))


@pytest.mark.parametrize("name", ["operations", "exact and joint", "gate"])
def test_a_padded_sequence_in_a_batch_is_continued_as_it_is_alone(llamas, name):
    model, (padded, mask) = llamas.trained(VARIANTS[name]).double(), left_padded(9)
    together = generated(
        model, torch.cat((padded, tokens()[1:])), attention_mask=torch.cat((mask, torch.ones_like(mask)))
    )
    assert torch.equal(together[:1, 9:], generated(model, padded[:, 9:]))
    assert torch.equal(together[1:], generated(model, tokens()[1:]))


def test_what_was_trained_is_the_same_after_saving_and_loading(llamas, tmp_path):
    from transformers import AutoModelForCausalLM

    model = llamas.inserted(llamas.llama(), {**OPERATIONS, "norm": {"name": "gate"}}).train()
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-2), []
    for _ in range(20):
        loss = model(tokens(), labels=tokens()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    model.eval().save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(again) is type(model)
    assert torch.equal(logits(again, tokens()), logits(model, tokens()))
    assert torch.equal(generated(again, tokens(2, 5)), generated(model, tokens(2, 5)))


def test_its_portable_copy_computes_the_same_in_a_process_without_mta_lab(llamas, tmp_path):
    model = llamas.trained({**EXACT, "norm": {"name": "gate"}}).double()
    model.save_pretrained(tmp_path / "portable")
    torch.save(tokens(), tmp_path / "tokens.pt")
    command = [sys.executable, "-P", "-c", PORTABLE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert torch.equal(torch.load(tmp_path / "logits.pt"), logits(model, tokens()))


def test_training_with_recomputed_layers_has_the_same_gradients(llamas):
    model = llamas.trained(OPERATIONS).train()
    gradients = []
    for recompute in (False, True):
        if recompute:
            model.activation_checkpointing_enable()
        model.zero_grad()
        model(tokens(), labels=tokens()).loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize(
    ("attention", "said"),
    [
        ({"pre_softmax": [{"name": "key_qery"}]}, "allowed: a name among key_query, head_mixing, joint"),
        ({"pre_softmax": [{"name": "key_query", "kernal": [2, 3]}]}, "key_query has no setting 'kernal'"),
        (
            {"post_softmax": [{"name": "head_mixing", "layers": [5]}]},
            "layers: got [5], allowed: 'all', or a list of 1 to",
        ),
        ({"pre_softmax": [{"name": "key_query", "mask": "singel"}]}, "mask: got 'singel', allowed: double, exact"),
        ({"norm": {"name": "gate", "per": "head"}}, "norm: per: got 'head', allowed: scalar, channel"),
        ({"pre_softmax": ["key_query"]}, "pre_softmax: got 'key_query', allowed: a name among key_query"),
        ({"post_softmax": [{"name": "head_mixing", "layers": 3}]}, "layers: got 3, allowed: 'all', or a list of 1"),
        ({"pre_softmax": [{"name": "key_query", "kernel": [0, 3]}]}, "kernel: got [0, 3], allowed: two whole numbers"),
        ({"pre_softmax": [{"name": "joint", "kernel": "6x11"}]}, "kernel: got '6x11', allowed: two whole numbers"),
        ({"norm": "gate"}, "norm: got 'gate', allowed: None, or a name among gate, plain"),
        ({"norm": {"name": "depth", "per": "channel"}}, "norm: depth has no setting 'per'"),
        ({"norm": {"name": "pair"}, "num_attention_heads": 5}, "norm: got 5 heads, allowed: an even number"),
        (
            {"post_softmax": [{"name": "pair_difference"}], "num_attention_heads": 5},
            "post_softmax: got 5 heads, allowed: an even number",
        ),
        ({"norm": {"name": "batch"}}, "norm: got {'name': 'batch'}, allowed: None, or a name among gate, plain"),
    ],
)
def test_a_config_refuses_what_it_does_not_know(llamas, attention, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        llamas.MtaLlamaConfig(**{**SIZES, **attention})


@pytest.mark.parametrize("group", [3, 0, "four"])
def test_a_group_that_does_not_divide_the_heads_is_refused(llamas, group):
    config = llamas.MtaLlamaConfig(**SIZES, pre_softmax=[{"name": "head_mixing", "group": group}])
    with pytest.raises(ValueError, match=f"group: got {group!r}, allowed: a divisor of the 8 heads, or 'all'"):
        llamas.MtaLlamaForCausalLM(config)


def test_an_export_whose_logits_are_not_those_of_the_run_is_refused(llamas):
    from mta_lab.errors import UserError
    from mta_lab.huggingface.writing import agreement

    model = llamas.trained(OPERATIONS).double()
    decoder = llamas.decoder_of(model, OPERATIONS)
    assert agreement(model, decoder, tokens()).difference < 1e-10
    with torch.no_grad():
        decoder.blocks[0].attention.output.weight.mul_(1.1)
    with pytest.raises(
        UserError, match=r"the logits of the run's model and of the one to export differ by .*; nothing"
    ):
        agreement(model, decoder, tokens())


def test_what_cannot_be_followed_is_refused(llamas):
    from transformers import StaticCache

    model = llamas.trained(OPERATIONS)
    with pytest.raises(ValueError, match="several texts in a row"):
        model(tokens(1, 6), position_ids=torch.tensor([[0, 1, 2, 0, 1, 2]]))
    with pytest.raises(ValueError, match=r"attention_mask: got \[1, 1, 6, 6\], allowed: \[batch, tokens\]"):
        model(tokens(1, 6), attention_mask=torch.zeros(1, 1, 6, 6))
    with pytest.raises(NotImplementedError, match="StaticLayer keeps no queries; allowed: DynamicCache"):
        model(tokens(1, 6), cache=StaticCache(config=model.config, max_cache_len=CONTEXT))
    with pytest.raises(NotImplementedError, match="StaticLayer keeps no queries; allowed: DynamicCache"):
        generated(model, tokens(1, 6), cache_implementation="static")
    with pytest.raises(ValueError, match="Assisted decoding requires a cache that can be cropped"):
        generated(model, tokens(1, 6), prompt_lookup_num_tokens=3)


def test_attention_whose_mask_would_not_tell_the_padding_is_refused(llamas):
    model, (padded, mask) = llamas.trained(OPERATIONS), left_padded(9)
    model.set_attn_implementation("paged|eager")
    with pytest.raises(ValueError, match=r"attn_implementation: got 'paged\|eager', allowed: 'eager'"):
        model(padded, attention_mask=mask)


def left_padded(places: int) -> tuple[Tensor, Tensor]:
    """Return a sequence of 31 tokens behind so many places of padding, and its mask."""
    padding, given = torch.zeros(1, places, dtype=torch.int64), tokens(1, 40)[:, places:]
    return torch.cat((padding, given), dim=1), torch.cat((padding, torch.ones_like(given)), dim=1)


def generated(model: torch.nn.Module, prompts: Tensor, **more: object) -> Tensor:
    """Return prompts with the 25 likeliest tokens behind them, or as `more` settings say."""
    mask = more.pop("attention_mask", torch.ones_like(prompts))
    settings = {"do_sample": False, **more}
    found: Tensor = model.generate(prompts, attention_mask=mask, max_new_tokens=25, pad_token_id=0, **settings)
    return found
