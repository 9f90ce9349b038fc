"""Hugging Face: runs as models of transformers, and Llama folders as models of ours.

`modeling_mta_llama` is a model of transformers by itself: an export carries a copy of it. Modules
that need the extra `hf` (transformers, safetensors) import it at their top.
"""
