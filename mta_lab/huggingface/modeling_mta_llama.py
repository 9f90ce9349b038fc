"""Llama with Multi-Token Attention (arXiv 2504.00927) for transformers, with cached generation.

This file needs torch and transformers alone: every exported model carries a copy of it, which
`trust_remote_code=True` runs. Without operations and norm it is Llama with eager attention, to the
bit; so it is where operations are at their start, the identity.

Shapes: B batch, M heads, Q rows of an attention map (queries), K its columns (keys), d head width.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers import initialization as init
from transformers.cache_utils import DynamicLayer
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaModel, apply_rotary_pos_emb, repeat_kv

CHOICES = {"mask": ("double", "exact"), "padding": ("both", "left", "right"), "per": ("scalar", "channel")}
NORMS = {"gate": ("per",), "plain": (), "depth": (), "layer_norm": (), "layer_norm_block": (), "pair": ()}


class MtaLlamaConfig(LlamaConfig):
    """A Llama's settings, and what acts on its attention maps.

    An operation is a dict: `name` (of OPERATIONS), `layers` ("all", or a list of layers counted
    from 1), and its settings, like `{"name": "key_query", "kernel": [6, 11]}`.
    """

    model_type = "mta_llama"

    pre_softmax: list | None = None
    """operations on the logits, in this order"""
    post_softmax: list | None = None
    """operations on the attention weights, in this order"""
    norm: dict | None = None
    """what normalises each head's output: a `name` of NORMS, and `per` of a gate; None: nothing"""

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        self.pre_softmax, self.post_softmax = self.pre_softmax or [], self.post_softmax or []
        for place in ("pre_softmax", "post_softmax"):
            for operation in getattr(self, place):
                self._check_operation(place, operation)
        if self.norm is not None:
            self._check_norm()

    def _check_norm(self):
        if not isinstance(self.norm, dict) or self.norm.get("name") not in NORMS:
            raise ValueError(f"norm: got {self.norm!r}, allowed: None, or a name among {', '.join(NORMS)}")
        check_settings("norm", self.norm, {"name", *NORMS[self.norm["name"]]})
        if self.norm["name"] == "pair":
            check_pairs("norm", self.num_attention_heads)

    def _check_operation(self, place, operation):
        kind = OPERATIONS.get(operation.get("name")) if isinstance(operation, dict) else None
        if kind is None:
            raise ValueError(f"{place}: got {operation!r}, allowed: a name among {', '.join(OPERATIONS)}")
        check_settings(place, operation, {"name", "layers", *kind.SETTINGS})
        layers, most = operation.get("layers", "all"), self.num_hidden_layers
        if layers != "all" and not (are_whole(layers) and all(layer <= most for layer in layers)):
            raise ValueError(f"{place}: layers: got {layers!r}, allowed: 'all', or a list of 1 to {most}")
        kernel = operation.get("kernel", (1, 1))
        if not are_whole(kernel) or len(kernel) != 2:
            raise ValueError(f"{place}: kernel: got {kernel!r}, allowed: two whole numbers, 1 or more")
        if kind is PairDifference:
            check_pairs(place, self.num_attention_heads)

    def operations(self, place, layer):
        """Return the modules that act at `place` of a layer, counted from 1."""
        here = [one for one in getattr(self, place) if one.get("layers", "all") == "all" or layer in one["layers"]]
        kinds = [(OPERATIONS[one["name"]], one) for one in here]
        given = [{key: one[key] for key in kind.SETTINGS if key in one} for kind, one in kinds]
        built = [kind(self, layer, **settings) for (kind, _), settings in zip(kinds, given, strict=True)]
        return nn.ModuleList(built)


def are_whole(numbers):
    """Return whether it is a list of whole numbers, 1 or more."""
    return isinstance(numbers, list | tuple) and all(type(one) is int and one >= 1 for one in numbers)


def check_pairs(place, heads):
    """Raise ValueError where heads are no pairs."""
    if heads % 2:
        raise ValueError(f"{place}: got {heads} heads, allowed: an even number, as they are taken in pairs")


def check_settings(place, settings, known):
    """Raise ValueError for a setting that is not known, or is none of its choices."""
    for name in sorted(settings.keys() - known):
        raise ValueError(f"{place}: {settings['name']} has no setting {name!r}")
    for name, choices in CHOICES.items():
        if settings.get(name, choices[0]) not in choices:
            raise ValueError(f"{place}: {name}: got {settings[name]!r}, allowed: {', '.join(choices)}")


def heads_of(heads, group):
    """Return groups, heads out and heads in of what mixes neighbouring heads."""
    group = heads if group == "all" else group
    if type(group) is not int or group < 1 or heads % group:
        raise ValueError(f"group: got {group!r}, allowed: a divisor of the {heads} heads, or 'all'")
    return heads // group, group, group


class KeyQuery(nn.Module):
    """S'[i, j] = sum over a, b of kernel[a, after + b] S[i - a, j - b] (equations 4 to 6).

    Each head has one kernel [c_q, c_k]. Keys after their query read as zero: with `mask` double,
    after the earlier query i - a, with exact after the row's own query i.
    """

    SETTINGS = ("kernel", "mask", "padding")

    def __init__(self, config, layer, kernel=(6, 11), mask="double", padding="both"):
        super().__init__()
        self.exact = mask == "exact"
        self.after = {"both": kernel[1] // 2, "left": 0, "right": kernel[1] - 1}[padding]
        self.kernel = nn.Parameter(torch.empty(config.num_attention_heads, *kernel))

    @property
    def earlier_queries(self):
        """Return how many earlier rows a row reads."""
        return self.kernel.shape[-2] - 1

    def start(self):
        """Fill the kernel so that it leaves the map as it is."""
        kernel = torch.zeros_like(self.kernel)
        kernel[:, 0, self.after] = 1.0
        init.copy_(self.kernel, kernel)

    def weight(self):
        """Return the kernels [M, heads that a head reads, c_q, c_k]."""
        return self.kernel.unsqueeze(1)

    def forward(self, scores, visible):
        """Convolve a map [B, M, Q, K] whose first row may lack the rows above it."""
        weight, above, rows = self.weight(), self.earlier_queries, scores.shape[2]
        if not self.exact:
            return self._convolved(scores.masked_fill(~visible, 0.0), weight, above)
        padded, total = F.pad(scores, (0, 0, above, 0)), 0
        for a in range(above + 1):
            earlier = padded.narrow(2, above - a, rows).masked_fill(~visible, 0.0)
            total = total + self._convolved(earlier, weight[:, :, a : a + 1], 0)
        return total

    def _convolved(self, scores, weight, above):
        heads, group, _, keys = weight.shape
        padded = F.pad(scores, (keys - 1 - self.after, self.after, above, 0))
        return F.conv2d(padded, weight.flip(2, 3), groups=heads // group)


class Joint(KeyQuery):
    """The same sum over the maps of a group of neighbouring heads, too (section 3.3)."""

    SETTINGS = ("kernel", "group")

    def __init__(self, config, layer, kernel=(6, 11), group="all"):
        super().__init__(config, layer, kernel)
        self.kernel = nn.Parameter(torch.empty(*heads_of(config.num_attention_heads, group), *kernel))

    def start(self):
        """Fill the kernel so that each head keeps its own map."""
        kernel = torch.zeros_like(self.kernel)
        kernel[..., 0, self.after].diagonal(dim1=1, dim2=2).fill_(1.0)
        init.copy_(self.kernel, kernel)

    def weight(self):
        """Return the kernels [M, heads that a head reads, c_q, c_k]."""
        return self.kernel.flatten(0, 1)


class HeadMixing(nn.Module):
    """A matrix [out, in] mixes the maps of each group of neighbouring heads (equation 7)."""

    SETTINGS = ("group",)
    earlier_queries = 0

    def __init__(self, config, layer, group="all"):
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(heads_of(config.num_attention_heads, group)))

    def start(self):
        """Fill the matrix so that it mixes nothing."""
        matrix = torch.zeros_like(self.matrix)
        matrix.diagonal(dim1=1, dim2=2).fill_(1.0)
        init.copy_(self.matrix, matrix)

    def forward(self, scores, visible):
        """Mix a map [B, M, Q, K], each place on its own."""
        maps = scores.unflatten(1, self.matrix.shape[:2]).flatten(3)
        return (self.matrix @ maps).view_as(scores)


class PairDifference(nn.Module):
    """The first map of a pair less lambda times its second, for both of its heads (2410.05258).

    It is never the identity.
    """

    SETTINGS = ()
    earlier_queries = 0

    def __init__(self, config, layer):
        super().__init__()
        self.lambda_init = 1.0 - depth_scale(layer)
        for name in ("lambda_query_1", "lambda_key_1", "lambda_query_2", "lambda_key_2"):
            self.register_parameter(name, nn.Parameter(torch.empty(config.head_dim)))

    def start(self):
        """Draw the four vectors of lambda."""
        for vector in self.parameters():
            init.normal_(vector, std=0.1)

    def forward(self, scores, visible):
        """Subtract in pairs."""
        first = (self.lambda_query_1 * self.lambda_key_1).sum().exp()
        second = (self.lambda_query_2 * self.lambda_key_2).sum().exp()
        weight = first - second + self.lambda_init
        return (scores[:, 0::2] - weight * scores[:, 1::2]).repeat_interleave(2, dim=1)


OPERATIONS = {"key_query": KeyQuery, "head_mixing": HeadMixing, "joint": Joint, "pair_difference": PairDifference}


def depth_scale(layer):
    """Return 1 - lambda_init of a layer, counted from 1: it falls from 0.8 to 0.2."""
    return 0.2 + 0.6 * math.exp(-0.3 * (layer - 1))


class RMSNorm(nn.Module):
    """Llama's norm, to the bit in float32, times a fixed scale; float64 stays float64."""

    def __init__(self, width, eps, scale=1.0):
        super().__init__()
        self.weight, self.eps, self.scale = nn.Parameter(torch.ones(width)), eps, scale

    def forward(self, x):
        """Normalise over the last dimension."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return (self.weight if self.scale == 1.0 else self.weight * self.scale) * normed.to(x.dtype)


class HeadNorm(nn.Module):
    """An RMSNorm of each head's output, or of each pair's, and perhaps a gate that reads it."""

    def __init__(self, config, layer):
        super().__init__()
        name, self.pairs = config.norm["name"], config.norm["name"] == "pair"
        scale = {"depth": depth_scale(layer), "pair": depth_scale(layer), "layer_norm": layer**-0.5}.get(name, 1.0)
        self.rms = RMSNorm(config.head_dim * (2 if self.pairs else 1), config.rms_norm_eps, scale)
        gates = 1 if config.norm.get("per", "scalar") == "scalar" else config.head_dim
        self.gate = nn.Linear(config.head_dim, gates) if name == "gate" else None

    def forward(self, y):
        """Normalise [B, M, Q, d]; of pairs, [B, M / 2, Q, 2d]."""
        y = self.rms(torch.cat((y[:, 0::2], y[:, 1::2]), dim=-1) if self.pairs else y)
        return y if self.gate is None else y * torch.sigmoid(self.gate(y))


class KeptQueries(DynamicLayer):
    """A layer's cache: keys, values, and as many of the last queries as later rows will read.

    A row of weights after the softmax reads c_q - 1 rows above it, and each of these as many rows
    of logits: so many queries are kept, for each convolution before and after the softmax.
    """

    is_croppable = False

    def __init__(self, reach):
        super().__init__()
        self.reach, self.queries = reach, None

    def recent(self, queries):
        """Return the new queries [B, M, Q, d] below the kept ones, and keep the last of them."""
        both = queries if self.queries is None else torch.cat((self.queries, queries), dim=2)
        self.queries = both[:, :, max(0, both.shape[2] - self.reach) :].clone()
        return both

    def reset(self):
        """Forget all."""
        super().reset()
        self.queries = None

    def crop(self, tokens_to_remove):
        """Refuse: the queries above the removed ones are gone."""
        if tokens_to_remove:
            raise NotImplementedError("this cache cannot be cropped: it keeps only the last queries")

    def reorder_cache(self, beam_idx):
        """Follow the beams."""
        super().reorder_cache(beam_idx)
        self._of_sequences(lambda kept: kept.index_select(0, beam_idx.to(kept.device)))

    def batch_repeat_interleave(self, repeats):
        """Repeat each sequence."""
        super().batch_repeat_interleave(repeats)
        self._of_sequences(lambda kept: kept.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices):
        """Keep some of the sequences."""
        super().batch_select_indices(indices)
        self._of_sequences(lambda kept: kept[indices])

    def _of_sequences(self, change):
        self.queries = None if self.queries is None else change(self.queries)


class MtaLlamaAttention(LlamaAttention):
    """Llama's eager attention, with operations before and after the softmax and a norm."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        self.pre_softmax = config.operations("pre_softmax", layer_idx + 1)
        self.post_softmax = config.operations("post_softmax", layer_idx + 1)
        self.norm = HeadNorm(config, layer_idx + 1) if config.norm else nn.Identity()

    def forward(self, hidden_states, position_embeddings=None, attention_mask=None, cache=None, **kwargs):
        """Return the layer's output, and the weights of the new rows as they meet the values."""
        new = hidden_states.shape[1]
        shape = (*hidden_states.shape[:2], -1, self.head_dim)
        projections = (self.q_proj, self.k_proj, self.v_proj)
        queries, keys, values = (project(hidden_states).view(shape).transpose(1, 2) for project in projections)
        queries, keys = apply_rotary_pos_emb(queries, keys, *position_embeddings)
        before, after = (sum(one.earlier_queries for one in ops) for ops in (self.pre_softmax, self.post_softmax))
        if cache is not None:
            queries = self._layer_of(cache, before + after).recent(queries)
            keys, values = cache.update(keys, values, self.layer_idx)
        visible, real = visible_places(attention_mask, queries.shape[2], keys.shape[2], queries.device)
        if real is not None:
            queries = queries.masked_fill(~real, 0.0)
        weights_above = min(after, queries.shape[2] - new)
        first = queries.shape[2] - new - weights_above
        weights, visible = self._weights(queries, keys, visible, first)
        for operation in self.post_softmax:
            weights = operation(weights, visible)
        weights = weights[:, :, weights_above:].masked_fill(~visible[:, :, weights_above:], 0.0)
        weights = F.dropout(weights, self.attention_dropout, self.training)
        y = self.norm(weights @ repeat_kv(values, self.num_key_value_groups))
        return self.o_proj(y.transpose(1, 2).reshape(*hidden_states.shape[:2], -1)), weights

    def _weights(self, queries, keys, visible, first):
        """Return the weights of the rows from `first` on, and where each of them sees a key."""
        scores = queries @ repeat_kv(keys, self.num_key_value_groups).transpose(2, 3) * self.scaling
        for operation in self.pre_softmax:
            scores = operation(scores, visible)
        scores, visible = scores[:, :, first:], visible[:, :, first:]
        scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)
        return weights.masked_fill(~visible, 0.0), visible  # of padding, a row sees nothing

    def _layer_of(self, cache, reach):
        """Return this layer's part of the cache, made to keep queries where it is new."""
        while cache.layer_class_to_replicate is DynamicLayer and len(cache.layers) <= self.layer_idx:
            cache.layers.append(DynamicLayer())
        layer = cache.layers[self.layer_idx]
        if type(layer) is DynamicLayer and not layer.get_seq_length():
            layer = cache.layers[self.layer_idx] = KeptQueries(reach)
        refuse_other_cache(layer, KeptQueries)
        return layer


def refuse_other_cache(layer, *kinds):
    """Raise NotImplementedError for a layer of a cache that is of none of these kinds."""
    if type(layer) not in kinds:
        said = f"a cache of {type(layer).__name__} keeps no queries; allowed: DynamicCache"
        raise NotImplementedError(f"{said}; in generate, cache_implementation='dynamic'")


def visible_places(mask, rows, keys, device):
    """Return where each of the last `rows` rows sees a key, and which rows are no padding.

    `mask` is the model's for the new rows, [B, 1, new, K], zero where a key is seen: its last row
    tells the padding. Without it, nothing is padded.
    """
    visible = torch.ones(rows, keys, dtype=torch.bool, device=device).tril(keys - rows)[None, None]
    if mask is None:
        return visible, None
    seen = mask[:, :, -1:]
    seen = seen if seen.dtype == torch.bool else seen == 0
    real = seen[..., keys - rows :].transpose(2, 3)
    return visible & seen & real, real


class _Mta:
    """Facts of both models: transformers asks the innermost one for initial values."""

    config_class = MtaLlamaConfig
    _supports_flash_attn = _supports_sdpa = _supports_flex_attn = _supports_attention_backend = False
    _can_compile_fullgraph = False

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, tuple(OPERATIONS.values())):
            module.start()


class MtaLlamaModel(_Mta, LlamaModel):
    """The decoder without its head."""

    config: MtaLlamaConfig

    def __init__(self, config):
        super().__init__(config)
        for index, layer in enumerate(self.layers):
            scale = (index + 1) ** -0.5 if config.norm and config.norm["name"] == "layer_norm_block" else 1.0
            layer.self_attn = MtaLlamaAttention(config, index)
            layer.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, scale)
            layer.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, scale)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, cache=None, **kwargs):
        """Refuse caches and masks that operations cannot follow; else as Llama's."""
        if self.config._attn_implementation != "eager":  # which tells how transformers makes the mask
            raise ValueError(f"attn_implementation: got {self.config._attn_implementation!r}, allowed: 'eager'")
        for layer in cache.layers if cache is not None else ():
            refuse_other_cache(layer, DynamicLayer, KeptQueries)
        if attention_mask is not None and attention_mask.dim() != 2:
            raise ValueError(f"attention_mask: got {list(attention_mask.shape)}, allowed: [batch, tokens], or None")
        packed = position_ids is not None and attention_mask is None and cache is None
        if packed and (position_ids.diff(dim=-1) != 1).any():
            raise ValueError("position_ids: several texts in a row read each other's scores; allowed: one a row")
        return super().forward(input_ids, attention_mask, position_ids, cache, **kwargs)


class MtaLlamaForCausalLM(_Mta, LlamaForCausalLM):
    """Llama with Multi-Token Attention: token ids to next-token logits."""

    config: MtaLlamaConfig

    def __init__(self, config):
        super(LlamaForCausalLM, self).__init__(config)
        self.model = MtaLlamaModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()
