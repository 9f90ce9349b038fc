"""Pictures of trained runs: their kernels and head-mixing matrices, and the attention maps of a text."""
