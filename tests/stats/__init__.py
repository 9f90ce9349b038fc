"""Tests of statistics on arrays."""
