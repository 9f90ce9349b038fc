"""Measure level `generate`: the time of a further token, behind few tokens and behind many."""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from components.attention import LayerCache, MapCore
from components.kernels import eager
from mta_lab.bench.measure import Work, take_turns
from mta_lab.bench.process import Laboratory
from mta_lab.bench.results import Comparison, Contestant, Measure, Say
from mta_lab.config import Layer, resolve, scale_layer
from mta_lab.devices import own
from mta_lab.generation.cache import Cache
from mta_lab.model import Decoder, build_model

TOKEN = "a token"
TOKENS = (128, 512, 2048)
"""in the sequence after the tokens that are timed"""
FURTHER = 24
"""tokens that are timed at once, where a cache is kept: three times as many as it makes room for"""
SIZES = {"width": 256, "heads": 8, "layers": 4, "context": 2048, "vocabulary": 4096, "feed_forward_multiple": 256}
CACHED = {
    "Transformer": "softmax",
    "differential": "differential",
    "talking heads": "talking_heads",
    "MTA": "multi_token",
}
"""name -> the attention, as a sweep file sets it; MTA convolves on one of the four layers"""
ANEW, WHOLE_MAP = "MTA, no cache", "MTA, all queries kept"
NOTES = (
    "on one thread; the Transformer and the first of those that follow keep a cache",
    f"{ANEW}: reads all tokens anew for each",
    f"{WHOLE_MAP}: computes the whole map for each token, as the paper's official code does",
)


def compare(laboratory: Laboratory, tokens: Sequence[int], rounds: int | None, say: Say) -> list[Comparison]:
    """Return the time of a token in sequences of these lengths, up to the context of 2,048."""
    found = []
    for done, length in enumerate(tokens):
        say(f"a further token, of {length}", done, len(tokens))
        times = laboratory.call(_times, length, rounds)
        contestants = [
            Contestant(name=name, measures={TOKEN: time}, facts={"tokens/s": f"{1 / time.median:,.1f}"})
            for name, time in times.items()
        ]
        settings = {**SIZES, "tokens": length, "threads": 1}
        title = f"a further token in a sequence of {length}: width {SIZES['width']}, {SIZES['layers']} layers"
        found.append(Comparison(title=title, settings=settings, contestants=tuple(contestants), notes=NOTES))
    return found


def _times(length: int, rounds: int | None) -> dict[str, Measure]:
    """Return the seconds of a token by contestant, all taking turns in this process."""
    torch.set_num_threads(1)
    where = own.device()
    own.warm_up(where)
    prompt_1T = torch.randint(SIZES["vocabulary"], (1, length), generator=torch.Generator().manual_seed(0)).to(where)
    models = {name: _model(attention).to(where) for name, attention in CACHED.items()}
    cached = take_turns({name: _further(model, prompt_1T) for name, model in models.items()}, rounds, where)
    slow: dict[str, Work] = {  # not among the others, which would have few rounds then
        WHOLE_MAP: _with_whole_maps(_model("multi_token").to(where), prompt_1T),
        ANEW: partial(_anew, models["MTA"], prompt_1T),
    }
    return {name: _a_token(time) for name, time in cached.items()} | take_turns(slow, rounds, where)


def _a_token(time: Measure) -> Measure:
    return Measure(unit=time.unit, values=tuple(value / FURTHER for value in time.values))


def _model(attention: str) -> Decoder:
    """Return a model whose operations are at no special value."""
    settings: Mapping[str, Any] = {"model": SIZES, "attention": attention}
    model = build_model(resolve([scale_layer("nano"), Layer("bench generate", settings)]), seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.01)
    return model


def _further(model: Decoder, prompt_1T: Tensor) -> Work:
    """Return a call that reads the last tokens of the prompt, one after the other."""
    cache, before = model.new_cache(), prompt_1T.shape[1] - FURTHER
    model.next_logits(prompt_1T[:, : before - 1], cache)
    model.next_logits(prompt_1T[:, before - 1 : before], cache)  # from now on there is room for more

    def read() -> None:
        ours = _fork(cache)
        for token in range(before, before + FURTHER):
            model.next_logits(prompt_1T[:, token : token + 1], ours)

    return read


def _fork(cache: Cache) -> Cache:
    """Return a cache that goes on from this one, in the same memory."""
    ours = copy(cache)
    ours.layers = [copy(layer) for layer in cache.layers]
    return ours


def _with_whole_maps(model: Decoder, prompt_1T: Tensor) -> Work:
    """Return a call that reads the last token as the official code does."""
    cache = model.new_cache()
    for layer in cache.layers:
        layer.earlier_queries = SIZES["context"]
    model.next_logits(prompt_1T[:, :-1], cache)
    for core in (part for part in model.modules() if isinstance(part, MapCore)):
        core.read_on = partial(_read_whole, core)  # type: ignore[method-assign]
    return lambda: model.next_logits(prompt_1T[:, -1:], _fork(cache))


def _read_whole(core: MapCore, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, cache: LayerCache) -> Tensor:
    held = cache.extend(query_BMTd, key_BMTd, value_BMTd)
    y_BMTd = eager.attend_rows(*held, core.map_ops(), halos=(0, 0), dropout=None)
    last: Tensor = core.norm(y_BMTd[:, :, -query_BMTd.shape[2] :])
    return last


@torch.no_grad()
def _anew(model: Decoder, tokens_1T: Tensor) -> None:
    model(tokens_1T)
