"""Draw pictures of trained runs: kernels, head-mixing matrices, and attention maps of a text."""
