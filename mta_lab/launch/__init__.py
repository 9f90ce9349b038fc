"""Runs a sweep: a launch hands runs to warm worker processes and records what comes back."""
