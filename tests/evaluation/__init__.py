"""Tests of how trained models are asked questions."""
