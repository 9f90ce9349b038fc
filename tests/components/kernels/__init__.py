"""Tests of the attention core: every implementation against the oracle, and the choice between them."""
