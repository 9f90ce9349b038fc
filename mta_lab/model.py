"""The decoder of the paper (section 4.2, appendix D): Llama-style, with a registered attention.

Shapes: B batch, T tokens, D model width, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from components.attention import (
    Attention,
    AttentionConfig,
    LayerCache,
    with_present_seeds,
)
from components.initialise import initialise
from components.initialisers import Drawn, drawn_weights, rate_of, size_of
from components.kernels.choice import OWN
from components.kernels.linear_cross_entropy import linear_cross_entropy
from components.kernels.substitute import Switched, set_compiled
from components.positions import Turns
from components.score_ops import ScoreOp
from mta_lab.config import ModelConfig, Precision, RunConfig
from mta_lab.config.placed import placed
from mta_lab.generation.cache import Cache
from mta_lab.generation.sampling import GREEDY, Sampling, continued

HALVES: Mapping[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""the dtype of matrix products in a precision that is autocast; float32 in the others"""


class Decoder(Switched, nn.Module):
    """Token ids to next-token logits; embeddings are tied."""

    def __init__(self, model: ModelConfig, attention: AttentionConfig) -> None:
        super().__init__()
        self.recompute = False
        """whether the backward pass computes each block anew, to store the activations of one"""
        # Empty: `initialise` draws the values; drawing them on meta would load torch's compiler.
        weight = torch.empty(model.vocabulary, model.width)
        self.embedding = nn.Embedding.from_pretrained(weight, freeze=False)  # type: ignore[no-untyped-call]
        self.blocks = nn.ModuleList(Block(model, attention, layer) for layer in range(1, model.layers + 1))
        self.norm = model.residual_norms.final(width=model.width)
        self.output_scale = model.initialiser.output_scale(width=model.width)
        """factor of the logits"""
        self._settings = model, attention
        self.context = model.context
        self.positions = model.positions.added(context=model.context, width=model.width)
        # On the CPU even in a model on meta: it is small, and sums there would load the compiler.
        cpu = torch.device("cpu")
        self._table = partial(model.positions.turns, context=model.context, head_width=model.channels, device=cpu)
        self.register_buffer("rotary", self._table(), persistent=False)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Convert and move all but the rotary table's values.

        Rounded or left empty, the table would turn by other angles.
        """
        table = self._turns()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        kept = self._table() if table is not None and table.is_meta else table
        if kept is not None:
            self.rotary = kept.to(self.get_buffer("rotary").device)
        return self

    def forward(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """Return the logits [B, T, V] of each position's next token.

        With a `cache` (see `new_cache`), the tokens follow those that it has read, and the logits
        are inference tensors, which no gradient can go through.
        """
        if cache is None:
            return F.linear(self.features(tokens_BT), self.embedding.weight)
        with torch.inference_mode():
            return F.linear(self.further_features(tokens_BT, cache), self.embedding.weight)

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor, scored_N: Tensor | None, divisor: int) -> Tensor:
        """Return the sum of the scored predictions' losses, in nats, over `divisor`.

        `scored_N` has their places among the B * T, int64; None scores all. Logits are made of
        scored positions alone, and not kept.
        """
        x_BTD = self.features(tokens_BT)
        picked = slice(None) if scored_N is None else scored_N
        x_ND, targets_N = x_BTD.flatten(0, 1)[picked], targets_BT.flatten()[picked]
        return linear_cross_entropy(x_ND, self.embedding.weight, targets_N, divisor, compiled=self.compiled)

    def features(self, tokens_BT: Tensor) -> Tensor:
        """Return the last layer's output [B, T, D], normed and scaled.

        The embedding makes logits of it.
        """
        turns, tokens = self._turns(), tokens_BT.shape[-1]
        self._check_context(tokens)
        rotary = None if turns is None else turns[:tokens]
        x_BTD = self._embedded(tokens_BT)
        recompute = self.recompute and self.training and torch.is_grad_enabled()
        for block in self.blocks:
            if recompute:  # random states are kept and put back: what a component draws is drawn again
                x_BTD = checkpoint(with_present_seeds(block), x_BTD, rotary, use_reentrant=False)
            else:
                x_BTD = block(x_BTD, rotary)
        return self._normed(x_BTD)

    def _normed(self, x_BTD: Tensor) -> Tensor:
        normed_BTD: Tensor = self.norm(x_BTD)
        return normed_BTD if self.output_scale == 1.0 else normed_BTD * self.output_scale

    def _embedded(self, tokens_BT: Tensor, places: Tensor | None = None) -> Tensor:
        """Return the tokens' embeddings [B, T, D] at positions [T] or [B, T] (from 0)."""
        x_BTD: Tensor = self.embedding(tokens_BT)
        if self.positions is None:
            return x_BTD
        places = torch.arange(tokens_BT.shape[-1], device=tokens_BT.device) if places is None else places
        added_BTD: Tensor = x_BTD + self.positions(places)
        return added_BTD

    def _turns(self) -> Turns | None:
        """Return the rotary turns of all positions; None where positions have none."""
        return getattr(self, "rotary", None)

    def rates(self) -> Mapping[str, float]:
        """Return the factors of the learning rate that the initialiser sets, by parameter."""
        model, _ = self._settings
        return {name: rate_of(model.initialiser, weight) for name, weight in self.drawn().items()}

    def draw(self, seed: int) -> None:
        """Draw all weights anew, as the initialiser says."""
        model, _ = self._settings
        drawn = self.drawn()
        initialise(self, seed, lambda name, _: size_of(model.initialiser, drawn[name]))

    def drawn(self) -> Mapping[str, Drawn]:
        """Return the weights that the initialiser sizes, with their shapes in its base, by name."""
        model, attention = self._settings
        with torch.device("meta"):
            base = self if model.base == model else Decoder(model.base, attention)
        return drawn_weights(self, base, model.layers)

    def new_cache(self, padding: Sequence[int] = ()) -> Cache:
        """Return an empty cache for sequences that begin with these numbers of padding tokens."""
        return Cache([block.get_submodule("attention") for block in self.blocks], padding)

    @torch.inference_mode()
    def further_features(self, tokens_Bn: Tensor, cache: Cache) -> Tensor:
        """Return the `features` of tokens that follow those of `cache`, which then has them, too.

        They mean nothing at the padding.
        """
        new = tokens_Bn.shape[-1]
        self._check_context(cache.longest(new))
        if cache.uncached:
            whole = [whole_T[None] for whole_T in cache.anew(tokens_Bn)]
            found = [self.features(one_1T)[:, -new:] if one_1T.numel() else self.embedding(one_1T) for one_1T in whole]
            x_BnD = torch.cat([F.pad(part_1tD, (0, 0, new - part_1tD.shape[1], 0)) for part_1tD in found])
        else:
            places, turns = cache.places(new, tokens_Bn.device), self._turns()
            x_BnD, rotary = self._embedded(tokens_Bn, places), None if turns is None else turns[places]
            for block, layer in zip(self.blocks, cache.layers, strict=True):
                x_BnD = block(x_BnD, rotary, layer)
            x_BnD = self._normed(x_BnD)
        cache.tokens += new
        return x_BnD

    @torch.inference_mode()
    def next_logits(self, tokens_Bn: Tensor, cache: Cache) -> Tensor:
        """Return the logits [B, V] of the token after these, which follow those of `cache`."""
        return F.linear(self.further_features(tokens_Bn, cache)[:, -1], self.embedding.weight)

    def generate(
        self,
        prompt_BT: Tensor,
        limit: int,
        sampling: Sampling = GREEDY,
        *,
        padding: Sequence[int] = (),
        end: int | None = None,
    ) -> Iterator[Tensor]:
        """Yield the next token of each sequence, [B] int64, at most `limit` times; see `continued`.

        Raises ValueError where the prompts are empty, or would grow longer than the context.
        """
        batch, tokens = prompt_BT.shape
        if limit < 1 or min(tokens - pad for pad in padding or (0,)) < 1:
            raise ValueError(f"generate: got {limit} tokens after prompts of {tokens}, allowed: 1 or more of both")
        if padding and len(padding) != batch:
            raise ValueError(f"padding: got {len(padding)} numbers, allowed: one a sequence ({batch})")
        self._check_context(tokens - min(padding, default=0) + limit - 1)  # nothing reads the last token
        return continued(self, prompt_BT, limit, sampling, padding=padding, end=end)

    def _check_context(self, tokens: int) -> None:
        if tokens > self.context:
            raise ValueError(f"tokens: got {tokens} in a sequence, allowed: up to the model's context ({self.context})")


class Block(nn.Module):
    """Attention and feed-forward, joined to the residual stream as `model.residual_norms` says."""

    def __init__(self, model: ModelConfig, attention: AttentionConfig, layer: int) -> None:
        super().__init__()
        scale = attention.of_layer(layer, model.layers).pre_norm_scale(layer)
        self.join = model.residual_norms.join
        self.attention_norm = model.built_norm(layer, scale)
        self.attention = placed(attention, model, layer)
        self.feed_forward_norm = model.built_norm(layer, scale)
        self.feed_forward = model.built_feed_forward(layer)

    def forward(self, x_BTD: Tensor, rotary: Turns | None, *cache: LayerCache) -> Tensor:
        """One decoder block; with a `cache`, of tokens that follow those that it holds."""

        def attend(y_BTD: Tensor) -> Tensor:
            attended_BTD: Tensor = self.attention(y_BTD, rotary, *cache)
            return attended_BTD

        x_BTD = self.join(self.attention_norm, x_BTD, attend)
        return self.join(self.feed_forward_norm, x_BTD, self.feed_forward)


def in_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which a model on `device` computes in a precision."""
    return torch.autocast(device.type, HALVES.get(precision, torch.bfloat16), enabled=precision in HALVES)


def build_model(config: RunConfig, seed: int) -> Decoder:
    """Return the model with freshly drawn weights.

    Under one seed, parameters that two variants share are equal.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # a constructor may draw what is no parameter
        model = Decoder(config.model, config.attention)
    model.draw(seed)
    model.recompute = config.training.recompute == "blocks"
    return set_compiled(model, config.training.compiled)


def implementations(model: Decoder) -> dict[str, str]:
    """Return what computed the attention in the last forward: sorted names, and each reason."""
    reasons: dict[str, list[str]] = {}
    for block in model.blocks:
        ran = [part.ran for part in block.modules() if isinstance(part, Attention) and part.ran]
        for choice in ran or [OWN]:
            reasons.setdefault(choice.name, []).append(choice.reason)
    return {name: "; ".join(dict.fromkeys(reasons[name])) for name in sorted(reasons)}


def layers_with_maps(config: RunConfig) -> int:
    """Return in how many layers training keeps whole attention maps; a variant's own code may."""
    return _layers_with_maps(config.model, config.attention, config.training.compiled)


@cache
def _layers_with_maps(model: ModelConfig, attention: AttentionConfig, compiled: bool) -> int:
    with torch.device("meta"):
        decoder = set_compiled(Decoder(model, attention), compiled)
    for operation in (part for part in decoder.modules() if isinstance(part, ScoreOp)):
        operation.to_empty(device="cpu")  # what it computes of its weights on meta would load torch's compiler
    layers = [block.attention for block in decoder.blocks]
    return sum(not isinstance(layer, Attention) or layer.stores_map() for layer in layers)


def count_parameters(config: RunConfig) -> int:
    """Trainable parameters, counted on the meta device: no memory is used."""
    return _count(config.model, config.attention)


def count_used_parameters(config: RunConfig) -> int:
    """Return how many of the trainable parameters compute one token: without idle experts."""
    model = config.model
    idle = (1.0 - model.feed_forward.used) * count_feed_forward(model) * model.layers
    return count_parameters(config) - round(idle)


@cache
def count_feed_forward(model: ModelConfig) -> int:
    """Return the weights of the layer's feed-forward that has most."""
    with torch.device("meta"):
        found = [model.built_feed_forward(layer) for layer in range(1, model.layers + 1)]
    return max(sum(parameter.numel() for parameter in one.parameters()) for one in found)


def tokens_per_parameter(config: RunConfig) -> float:
    """Return how many tokens a run is trained on for each parameter of its model."""
    return config.training_tokens / count_parameters(config)


@cache
def _count(model: ModelConfig, attention: AttentionConfig) -> int:
    with torch.device("meta"):
        decoder = Decoder(model, attention)
    return sum(parameter.numel() for parameter in decoder.parameters())
