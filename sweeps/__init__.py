"""The shipped sweeps, one YAML file a table or question, and `paper.yaml`, the published values."""
