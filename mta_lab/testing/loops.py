"""The loops of `oracle.py` over the parameters of modules: an attention layer, the whole decoder.

Of `components/` and `mta_lab/`, only settings and parameters are read; what is computed with them
stands here. Shapes: B batch, T tokens, D model width, M heads, d head width, V vocabulary.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from components.attention import AttentionConfig, ByLayer, Differential, MultiToken, Softmax, TalkingHeads
from components.norms import Gate, LayerNormBlock, NoNorm, NormConfig
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOpConfig
from mta_lab.testing import oracle


def decoder(config: AttentionConfig, model: nn.Module, tokens_BT: Tensor, *, heads: int, theta: float) -> Tensor:
    """Return the logits [B, T, V] of a Llama-style decoder.

    Its output is tied to its embedding (section 4.2, appendix D).
    """
    embedding_VD = model.get_parameter("embedding.weight")
    head_width = model.get_parameter("blocks.0.attention.query.weight").shape[0] // heads
    angles = oracle.rotary_angles(tokens_BT.shape[1], head_width, theta)
    x_BTD = embedding_VD[tokens_BT]
    for number, block in enumerate(model.get_submodule("blocks").children(), 1):
        norm_1D, norm_2D, gate_HD, up_HD, down_DH = (
            block.get_parameter(f"{name}.weight")
            for name in (
                "attention_norm",
                "feed_forward_norm",
                "feed_forward.gate",
                "feed_forward.up",
                "feed_forward.down",
            )
        )
        blockwise = isinstance(getattr(of_layer(config, number), "norm", None), LayerNormBlock)
        scale = 1 / math.sqrt(number) if blockwise else 1.0
        normed_BTD = scale * oracle.plain(x_BTD, norm_1D)
        attention = block.get_submodule("attention")
        x_BTD = x_BTD + layer(config, attention, normed_BTD, heads=heads, layer=number, angles=angles)
        normed_BTD = scale * oracle.plain(x_BTD, norm_2D)
        gate_BTH, up_BTH = normed_BTD @ gate_HD.T, normed_BTD @ up_HD.T
        x_BTD = x_BTD + (gate_BTH / (1 + torch.exp(-gate_BTH)) * up_BTH) @ down_DH.T
    return oracle.plain(x_BTD, model.get_parameter("norm.weight")) @ embedding_VD.T


def layer(
    config: AttentionConfig, module: nn.Module, x_BTD: Tensor, *, heads: int, layer: int, angles: Tensor | None
) -> Tensor:
    """Compute layer `layer`, counted from 1: project, rotate, attend, join the heads, project."""
    weights = {name: module.get_parameter(f"{name}.weight") for name in ("query", "key", "value", "output")}
    sequences = []
    for x_TD in x_BTD:
        q, k, v = (torch.stack((x_TD @ weights[name].T).chunk(heads, dim=-1)) for name in ("query", "key", "value"))
        if angles is not None:
            q, k = oracle.rotate(q, angles), oracle.rotate(k, angles)
        y = _heads(of_layer(config, layer), module, (q, k, v), layer)
        sequences.append(torch.cat(list(y), dim=-1) @ weights["output"].T)
    return torch.stack(sequences)


def stands(config: ScoreOpConfig, layer: int) -> bool:
    """Return whether an operation stands on a layer, by one of the rules that the tests use."""
    return {"all": True, "every 4": layer % 4 == 3}[str(config.layers)]


def of_layer(config: AttentionConfig, layer: int) -> AttentionConfig:
    """Return the attention of a layer, by one of the rules that the tests use, or the rest's."""
    if not isinstance(config, ByLayer):
        return config
    rules, every_4 = dict(zip(config.layers, config.variants, strict=True)), layer % 4 == 3
    named = [one for rule, one in rules.items() if (every_4 if rule == "every 4" else rule != "rest" and layer in rule)]
    return named[0] if named else rules["rest"]


def _ops(configs: Sequence[ScoreOpConfig], modules: nn.Module, layer: int, *, weights: bool) -> list[oracle.Op]:
    """Return the loops for the operations that should stand in the layer, over its parameters.

    `weights` says that they act on attention weights, not on logits.
    """
    ops: list[oracle.Op] = []
    standing = [config for config in configs if stands(config, layer)]
    for config, module in zip(standing, modules.children(), strict=True):
        if isinstance(config, KeyQuery):
            loop = oracle.convolve if config.mask == "double" else partial(oracle.convolve_exact, weights=weights)
            ops.append(partial(loop, theta_MAB=module.get_parameter("kernel"), padding=config.padding))
        elif isinstance(config, Joint):
            ops.append(partial(oracle.joint, theta_GOIAB=module.get_parameter("kernel")))
        else:
            ops.append(partial(oracle.mix, matrix_GOI=module.get_parameter("matrix")))
    return ops


def _norm(config: NormConfig, parameters: dict[str, Tensor], layer: int) -> oracle.Norm:
    """Return the loops for a norm, over the module's own parameters."""
    if config.name == "none":
        return oracle.no_norm
    weight_d = parameters["norm.rms.weight"]
    if isinstance(config, Gate):
        weight, bias = parameters["norm.gate.weight"], parameters["norm.gate.bias"]
        if config.per == "channel":
            return partial(oracle.channel_gate, weight_d=weight_d, W_dd=weight, bias_d=bias)
        return partial(oracle.gate, weight_d=weight_d, w_d=weight[0], bias=bias[0])
    if config.name in ("plain", "layer_norm_block"):  # the latter scales outside of the attention
        return partial(oracle.plain, weight_d=weight_d)
    scaled = {"depth": oracle.depth, "layer_norm": oracle.layer_norm}[config.name]
    return partial(scaled, weight_d=weight_d, layer=layer)


def _heads(config: AttentionConfig, module: nn.Module, qkv: tuple[Tensor, Tensor, Tensor], layer: int) -> Tensor:
    """One sequence's output of all heads, by the loops, from queries, keys and values [M, T, d]."""
    parameters: dict[str, Tensor] = dict(module.named_parameters())
    if isinstance(config, Differential):
        vectors = ("query_1", "key_1", "query_2", "key_2")
        lambdas = [parameters[f"post_softmax.0.lambda_{vector}"] for vector in vectors]
        return oracle.differential(*qkv, lambdas_4d=lambdas, weight_2d=parameters["norm.rms.weight"], layer=layer)
    if isinstance(config, Softmax):
        return oracle.attention(*qkv, norm=oracle.no_norm)
    if isinstance(config, TalkingHeads):
        config = MultiToken(pre_softmax=(HeadMixing(),), post_softmax=(HeadMixing(),), norm=NoNorm())
    assert isinstance(config, MultiToken)
    pre = _ops(config.pre_softmax, module.get_submodule("pre_softmax"), layer, weights=False)
    post = _ops(config.post_softmax, module.get_submodule("post_softmax"), layer, weights=True)
    return oracle.attention(*qkv, pre=pre, post=post, norm=_norm(config.norm, parameters, layer))
