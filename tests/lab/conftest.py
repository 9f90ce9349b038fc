"""Fixtures of runs that are asked questions."""

from tests.lab.asked import asked, trained_folder

__all__ = ["asked", "trained_folder"]
