"""The sweeps that ship, each read once a scale, however many tests look at it."""

from functools import cache

from mta_lab.sweep import Sweep, load_sweep


@cache
def shipped(name: str, scale: str = "nano") -> Sweep:
    """The shipped sweep `name` as it is."""
    return load_sweep(name, scale=scale)
