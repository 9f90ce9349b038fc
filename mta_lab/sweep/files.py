"""Where the sweeps that ship are."""

from importlib import resources

SHIPPED = resources.files("sweeps")
