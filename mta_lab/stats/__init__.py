"""Statistics of paired runs: arrays in, numbers out."""
