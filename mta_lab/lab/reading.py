"""Read the weights of a folder; imported where the extra `hf` is there and asked for."""

from mta_lab.huggingface.importing import import_weights

__all__ = ["import_weights"]
