"""The attention of a layer, with what the model around it sets."""

from torch import nn

from components.attention import AttentionConfig, bias_scores, norm_heads, scale_queries, set_model_width, share_keys
from mta_lab.config.sections import ModelConfig


def placed(attention: AttentionConfig, model: ModelConfig, layer: int) -> nn.Module:
    """Return the attention module of layer `layer` of a model, counted from 1.

    Raises ComponentError where the variant cannot be what the model asks for.
    """
    module = attention.build(width=model.attention_width, heads=model.heads, layer=layer, layers=model.layers)
    if model.attention_width != model.width:
        set_model_width(module, model.width)
    if model.kv_heads is not None:
        share_keys(module, model.kv_heads)
    if model.qk_norm:
        norm_heads(module)
    factor = model.initialiser.query_scale(width=model.width, heads=model.heads)
    if factor != 1.0:
        scale_queries(module, factor)
    bias = model.positions.bias(heads=model.heads, layer=layer)
    if bias is not None:
        bias_scores(module, bias)
    return module
