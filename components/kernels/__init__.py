"""The attention core: softmax attention with operations on its map, in several implementations.

- `base.py` is the contract of an implementation, and says how to add one;
- `choice.py` lists them and chooses the one that runs, with its reason;
- `eager.py` is the readable reference; `streaming.py`, `sdpa.py` and `cpu/fused.py` are faster;
- `last_rows.py` computes the last queries of a sequence alone, for generation;
- `pointwise.py` has a decoder's other parts: norms, SwiGLU, rotary embedding, cross-entropy;
- `linear_cross_entropy.py` is the loss of the vocabulary's product, which keeps no logits;
- `dropout.py` draws the weights that are dropped, the same ones everywhere;
- `substitute.py` decides whether compiled code may stand for torch's own operations;
- `cpu/` holds the compiled code for CPUs: its C++ sources, their build and their binding.
"""
