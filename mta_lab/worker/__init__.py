"""Runs a sweep: a launch hands cells to warm worker processes and records what comes back."""
