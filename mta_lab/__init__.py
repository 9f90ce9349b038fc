"""MTA Lab: ablation sweeps of attention variants (Multi-Token Attention, arXiv 2504.00927)."""
