"""Tests of the components: against a slow oracle, and of the contracts that every variant keeps."""
