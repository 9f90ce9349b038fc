"""The folder of the sweeps that ship."""

from importlib import resources

SHIPPED = resources.files("sweeps")
