"""Small models of transformers with weights at random, and our decoders with the same weights."""

from typing import Any

import torch
from torch import nn

from mta_lab.huggingface.models import LlamaConfig, LlamaForCausalLM, MtaLlamaConfig, MtaLlamaForCausalLM
from mta_lab.huggingface.names import from_llama
from mta_lab.model import Decoder
from tests.huggingface.examples import CONTEXT, SIZES, config_of, lists

INSERTED = (".pre_softmax.", ".post_softmax.", "self_attn.norm.")


def llama() -> LlamaForCausalLM:
    """Return a Llama of which four queries share a key and a value, with logits of some size."""
    model, generator = LlamaForCausalLM(LlamaConfig(**SIZES)).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.25 * torch.randn(parameter.shape, generator=generator))
    return model


def inserted(model: LlamaForCausalLM, attention: dict[str, Any]) -> MtaLlamaForCausalLM:
    """Return the Llama with operations and a norm at their start."""
    found = MtaLlamaForCausalLM(MtaLlamaConfig(**SIZES, **attention))
    missing, unexpected = found.load_state_dict(model.state_dict(), strict=False)
    assert not unexpected
    assert all(any(part in name for part in INSERTED) for name in missing)
    return found.eval()


def trained(attention: dict[str, Any]) -> MtaLlamaForCausalLM:
    """Return it with all weights of its operations and norms off their start."""
    model, generator = inserted(llama(), attention), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in INSERTED):
                parameter.add_(0.15 * torch.randn(parameter.shape, generator=generator))
    return model


def decoder_of(model: nn.Module, attention: dict[str, Any]) -> Decoder:
    """Return our decoder in float64, with a model's weights and the angles of its embedding."""
    config = config_of(lists(attention))
    decoder = Decoder(config.model, config.attention).eval().double()
    weights = {name: tensor.double() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    decoder.load_state_dict(from_llama(weights))
    cos, sin = model.model.rotary_emb(torch.zeros(1), torch.arange(CONTEXT)[None])  # their angles in float32
    decoder.rotary = torch.stack((cos[0, :, :4], sin[0, :, :4]), dim=1)
    return decoder
