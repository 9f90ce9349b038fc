"""The models of transformers, ours among them: importing this registers it with the Auto classes.

`AutoModelForCausalLM.from_pretrained` then opens an export without `trust_remote_code`.
"""

from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from mta_lab.huggingface.modeling_mta_llama import MtaLlamaConfig, MtaLlamaForCausalLM

__all__ = ["LlamaConfig", "LlamaForCausalLM", "MtaLlamaConfig", "MtaLlamaForCausalLM", "PreTrainedModel"]

AutoConfig.register(MtaLlamaConfig.model_type, MtaLlamaConfig, exist_ok=True)
AutoModelForCausalLM.register(MtaLlamaConfig, MtaLlamaForCausalLM, exist_ok=True)
# What is saved then carries a copy of the modelling file, for those who have no MTA Lab.
MtaLlamaConfig.register_for_auto_class()
MtaLlamaForCausalLM.register_for_auto_class("AutoModelForCausalLM")
