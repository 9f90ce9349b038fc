"""Tests of generation with a cache."""
