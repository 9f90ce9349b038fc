"""Tests of the attention core: implementations against the oracle, and the choice among them."""
