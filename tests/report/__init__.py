"""Tests of tables and statistics."""
