"""The sections of a run's configuration that say its model, its data and its seeds.

A field without a default is set by the scale (`scales/*.yaml`).
"""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from torch import nn

from components.feed_forward import SWIGLU, FeedForwardConfig
from components.initialisers import FAN_IN, InitialiserConfig
from components.positions import ROTARY, PositionConfig
from components.registry import LATER
from components.residual_norms import PRE, ResidualNormConfig
from mta_lab.errors import nearest

Split = Literal["valid", "test"]
TOKENIZERS = ("bpe", "bytes", "characters")
"""kinds of tokenizers that are made here; others are given as a file"""
TOKENIZER_FILES = (".json", ".model")
"""how the names of such files end"""
BYTE_TOKENS = 257
"""entries of 'bytes': 256, and the end of text"""
LARGEST = {
    "width": 1 << 20,
    "layers": 1 << 12,
    "vocabulary": 1 << 24,
    "context": 1 << 20,
    "feed_forward_multiple": 1 << 20,
}
"""sizes beyond any model;
a slip of the finger would be minutes of planning, or more bytes than can be counted"""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The decoder around the attention (paper, section 4.2, appendix D and Table 7)."""

    width: int
    """D, channels of the residual stream; an even number"""
    layers: int
    """number of decoder blocks"""
    heads: int
    """M, attention heads; a divisor of the width, with an even head width (rotary pairs), unless
    `head_width` is set"""
    head_width: int | None = field(default=None, metadata=LATER)
    """d, channels of a head, an even number; not set: width / heads"""
    kv_heads: int | None = field(default=None, metadata=LATER)
    """heads of keys and values, a divisor of `heads`, each shared by neighbouring heads
    (grouped-query attention, 2305.13245); not set: each head has its own"""
    qk_norm: bool = field(default=False, metadata=LATER)
    """whether an RMSNorm of each head's queries, and one of its keys, stands before they are turned
    (QK-norm: 2010.04245, 2302.05442), as in Qwen3"""
    vocabulary: int
    """tokens in the vocabulary; the tokenizer is trained to this size,
    that of imported tokens has at most as many, a synthetic task says its own"""
    context: int
    """T, tokens a sequence;
    the longest that the model can read where a synthetic task says how long they are"""
    positions: PositionConfig = field(default=ROTARY, metadata=LATER)
    """what tells the model the order of tokens; `rope_theta` is short for `positions.theta`"""
    feed_forward: FeedForwardConfig = field(default=SWIGLU, metadata=LATER)
    """what each block does to each token by itself, after attention"""
    feed_forward_multiple: int = 256
    """the hidden widths of a feed-forward are rounded up to a multiple of this;
    the default's is 8/3 of the model's"""
    initialiser: InitialiserConfig = field(default=FAN_IN, metadata=LATER)
    """how large the weights start, and, of some, how fast they learn and what multiplies logits"""

    residual_norms: ResidualNormConfig = field(default=PRE, metadata=LATER)
    """norms around attention and feed-forward: their places and their kind"""

    def __post_init__(self) -> None:
        sizes = ("width", "layers", "heads", "vocabulary", "context")
        positive(self, *sizes, "feed_forward_multiple")
        for name, most in LARGEST.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name}: got {getattr(self, name)}, allowed: at most {most:,}")
        if self.width % 2:
            raise ValueError(f"width: got {self.width}, allowed: an even number")
        if self.head_width is not None and (self.head_width < 2 or self.head_width % 2):
            raise ValueError(f"head_width: got {self.head_width}, allowed: an even number, 2 or more")
        if self.head_width is not None and self.initialiser.sets_rates:
            said = f"got {self.head_width} beside the initialiser '{self.initialiser.name}', whose heads grow with it"
            raise ValueError(f"head_width: {said}; allowed: leave one of the two out")
        if self.attention_width > LARGEST["width"]:
            said = f"got {self.head_width}, allowed for {self.heads} heads: at most {LARGEST['width'] // self.heads:,}"
            raise ValueError(f"head_width: {said}")
        if self.head_width is None and (self.width % self.heads or (self.width // self.heads) % 2):
            allowed = [n for n in range(1, self.width // 2 + 1) if self.width % (2 * n) == 0]
            raise ValueError(f"heads: got {self.heads}, allowed for width {self.width}: {allowed}")
        shared = [n for n in range(1, self.heads + 1) if self.heads % n == 0]
        if self.kv_heads is not None and self.kv_heads not in shared:
            raise ValueError(f"kv_heads: got {self.kv_heads}, allowed for {self.heads} heads: {shared}")

    @property
    def channels(self) -> int:
        """Return d, the channels of a head."""
        return self.head_width or self.width // self.heads

    @property
    def attention_width(self) -> int:
        """Return the channels of all heads together: the width, unless `head_width` is set."""
        return self.width if self.head_width is None else self.heads * self.head_width

    @property
    def rope_theta(self) -> float | None:
        """Return the base of the rotary frequencies; None where nothing turns by them."""
        return getattr(self.positions, "theta", None)

    @property
    def base(self) -> "ModelConfig":
        """Return the model whose settings the initialiser transfers: this one, where there is none.

        Raises ValueError where there can be no such model.
        """
        width, heads = self.initialiser.base(width=self.width, heads=self.heads)
        if (width, heads) == (self.width, self.heads):
            return self
        kv_heads, rest = divmod((self.kv_heads or 0) * heads, self.heads)
        if rest:
            said = f"{self.kv_heads} of {self.heads} heads have no whole number among the {heads} of its base"
            raise ValueError(f"kv_heads: {said}")
        return replace(self, width=width, heads=heads, kv_heads=kv_heads or None)

    def built_feed_forward(self, layer: int) -> nn.Module:
        """Return the feed-forward of layer `layer`, counted from 1."""
        sizes = {"width": self.width, "multiple": self.feed_forward_multiple}
        return self.feed_forward.build(**sizes, layer=layer, layers=self.layers)

    def built_norm(self, layer: int, scale: float = 1.0) -> nn.Module:
        """Return the norms of a sublayer of layer `layer`; those before it are times `scale`."""
        return self.residual_norms.build(width=self.width, scale=scale, layer=layer, layers=self.layers)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The text to read and the part of it to score on; a synthetic task reads no text."""

    corpus: str = "packages"
    """'packages': real text of seven domains, fetched once;
    'stdlib': the Python library on disk, no network;
    or the name of a text that an installed distribution brings"""
    path: str | None = None
    """your own text instead: a folder with a file DOMAIN.jsonl or a folder DOMAIN for each
    domain; also .ndjson, .json, .txt and .md, and these compressed as .gz, .bz2, .xz or .zst"""
    tokens: str | None = field(default=None, metadata=LATER)
    """a folder of tokens that `mta-lab data import` made, instead of text: its own tokenizer, of
    at most model.vocabulary entries; the paper's scales need one"""
    tokenizer: str = field(default="bpe", metadata=LATER)
    """what makes tokens of text: 'bpe', pairs of bytes, trained to model.vocabulary entries;
    'bytes', of 257 entries; 'characters', the text's most frequent ones, and the bytes of all
    others; or the path of a tokenizer.json, or of Llama 3's tokenizer.model, of at most
    model.vocabulary entries. Rows of two tokenizers cannot be compared"""
    mixture: dict[str, float] = field(default_factory=dict, hash=False)
    """how often each domain is trained on, like {news: 2, tales: 1}; 0
    leaves it out, and it is still scored. Not set: the paper's shares for the built-in text, and
    for tokens or an installed text whose domains all have its names, else the same for each"""
    evaluate: Split = "valid"
    """what is scored: 'valid', or 'test', as much held-out text (or as many
    sequences) that 'valid' never reads: for what was chosen by its scores on 'valid'"""

    def __post_init__(self) -> None:
        if self.path is not None and not self.path.strip():
            raise ValueError(
                f"path: got '{self.path}', allowed: a directory or a file; leave it out for the built-in text"
            )
        if self.tokens is not None:
            self._check_tokens(self.tokens)
        if self.tokenizer not in TOKENIZERS and not self.tokenizer.endswith(TOKENIZER_FILES):
            kinds = f"{', '.join(TOKENIZERS)}, or the path of a tokenizer.json or of Llama 3's tokenizer.model"
            raise ValueError(
                f"tokenizer: got '{self.tokenizer}'{nearest(self.tokenizer, TOKENIZERS) or ','} allowed: {kinds}"
            )
        for name, weight in self.mixture.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"mixture: got {weight} for domain '{name}', allowed: 0 or more")
        if self.mixture and not any(self.mixture.values()):
            raise ValueError("mixture: got 0 for every domain, allowed: more than 0 for at least one")

    @property
    def tokenizer_file(self) -> str | None:
        """Return the path of the tokenizer where it is given as a file."""
        return None if self.tokenizer in TOKENIZERS else self.tokenizer

    def _check_tokens(self, given: str) -> None:
        if not given.strip():
            raise ValueError(f"tokens: got '{given}', allowed: a folder that `mta-lab data import` made")
        others = {
            "path": self.path,
            "corpus": self.corpus if self.corpus != DataConfig.corpus else None,
            "tokenizer": self.tokenizer if self.tokenizer != DataConfig.tokenizer else None,
        }
        for name, other in others.items():
            if other is not None:
                raise ValueError(f"tokens: got '{given}' beside data.{name}={other}, allowed: one of them")


@dataclass(frozen=True, kw_only=True)
class FixedSeeds:
    """Parts of a run whose random numbers stay the same under every seed; the others follow it."""

    init: int | None = field(default=None, metadata=LATER)
    """seed of the initial weights"""
    data: int | None = field(default=None, metadata=LATER)
    """seed of the order of the batches, or of a synthetic task's sequences"""
    dropout: int | None = field(default=None, metadata=LATER)
    """seed of dropout, and of what else a component draws in training"""

    def __post_init__(self) -> None:
        for name, seed in vars(self).items():
            if seed is not None and seed < 0:
                raise ValueError(f"{name}: got {seed}, allowed: 0 or more")


def positive(config: Any, *names: str) -> None:
    """Raise ValueError for the first setting of these names that is not above 0, or not finite."""
    for name in names:
        if not 0 < getattr(config, name) < math.inf:
            kind = next(one.type for one in fields(config) if one.name == name)
            least = "1 or more" if kind is int else "more than 0"
            raise ValueError(f"{name}: got {getattr(config, name)}, allowed: {least}")
