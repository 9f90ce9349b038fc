"""`mta-lab generate` and `FinishedRun.generate`: the text that follows a prompt."""

from pathlib import Path

import pytest
import torch

import mta_lab
from mta_lab.data import Corpus
from mta_lab.pictures import trained
from mta_lab.plugins import load_components
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.cli.test_pictures import OWN, keep
from tests.pictures.models import MTA, config_of

GENERATE = ("generate", "kernel_sizes", "4x9", OWN)
PROMPT = "the old cat sees"
OWN_ATTENTION = '''
import torch.nn.functional as F
from components.attention import Attention, AttentionConfig
from components.registry import register

@register("attention", "own")
class Own(AttentionConfig):
    """Softmax attention that computes itself."""

    def build(self, *, width, heads, layer, layers):
        return OwnLayer(width=width, heads=heads)

class OwnLayer(Attention):
    def attend(self, query_BMTd, key_BMTd, value_BMTd):
        return F.scaled_dot_product_attention(query_BMTd, key_BMTd, value_BMTd, is_causal=True)
'''


@pytest.fixture
def written(lab: Command, corpus: Corpus) -> str:
    """A made-up finished run of the row 4x9 on the text of `corpus`; its fingerprint."""
    (config,) = (
        row.config for row in load_sweep("kernel_sizes", scale="nano", settings=[OWN]).rows if row.name == "4x9"
    )
    return keep(config, corpus.content_hash)


def greedy(name: str, corpus: Corpus, count: int) -> str:
    """Return the likeliest continuation, each token by a whole forward pass."""
    records = Records()
    record = records.finished(name)
    assert record is not None
    model, tokenizer = trained.load(record, records).model, corpus.tokenizer()
    ids = tokenizer.encode(PROMPT, add_special_tokens=False).ids
    start = len(tokenizer.decode(ids))
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return str(tokenizer.decode(ids))[start:]


def test_the_most_likely_tokens_follow_the_prompt(lab: Command, written: str, corpus: Corpus) -> None:
    done = lab(*GENERATE, "--prompt", PROMPT, "--tokens", "12")
    assert (done.status, done.err) == (0, "")
    assert done.out == greedy(written, corpus, 12) + "\n"
    run = mta_lab.load("kernel_sizes", settings={"data.path": "mine"}).run_of("4x9", seed=0)
    assert run.generate(PROMPT, tokens=12) == greedy(written, corpus, 12)


def test_a_draw_gives_the_same_text_again_and_another_draw_another(lab: Command, written: str) -> None:
    one, again, other = (
        lab("generate", written[:8], "--prompt", PROMPT, "--temperature", "1", "--top-p", "0.9", "--draw", draw).out
        for draw in ("1", "1", "2")
    )
    assert one == again != other
    assert lab("generate", written[:8], "--temperature", "1").status == 0  # the start of a document


def test_a_toy_model_continues_a_sequence_of_its_task(lab: Command) -> None:
    toy = keep(config_of(MTA))
    done = lab("generate", toy, "--prompt", "abc.def#ed", "--tokens", "3")
    assert (done.status, len(done.out)) == (0, 4)
    assert "needs the start of a sequence" in lab("generate", toy).complaint
    assert "--prompt: " in lab("generate", toy, "--prompt", "ABC").complaint


def test_a_component_that_is_computed_anew_for_each_token_is_named(lab: Command) -> None:
    Path("own.py").write_text(OWN_ATTENTION)
    load_components([Path("own.py")])
    done = lab("generate", keep(config_of("own")), "--prompt", "abc.def#ed", "--tokens", "3", "--components", "own.py")
    assert (done.status, len(done.out)) == (0, 4)
    assert done.err == (
        "mta-lab: layer 1: OwnLayer computes attention itself, and does not say what it reads of earlier tokens: all "
        "earlier tokens are computed anew for each token\n"
    )


def test_what_cannot_be_read_or_drawn_is_refused_in_a_line(lab: Command, written: str) -> None:
    def refused(*arguments: str) -> str:
        return lab(*GENERATE, *arguments).complaint

    assert "got an empty text" in refused("--prompt", "")
    assert "--prompt: got 'a\\udcff', allowed: text in UTF-8" in refused("--prompt", "a\udcff")
    assert "seed: got 18446744073709551616, allowed: 0 or more, below 2^64" in refused("--draw", str(2**64))
    assert "up to the 128 of the model's context" in refused("--prompt", "!" * 200)
    assert "allowed: 1 to 128, as the model's context is 128" in refused("--tokens", "129")
    assert "temperature: got -1.0" in refused("--temperature", "-1")
    assert "top_p: got 0.0" in refused("--top-p", "0")
    Records().weights(written).unlink()
    assert "is missing" in refused("--prompt", PROMPT)
