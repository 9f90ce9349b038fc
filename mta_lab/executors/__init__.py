"""Executors: what starts runs on machines and tells of them."""
