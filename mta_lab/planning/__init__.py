"""The runs of a sweep with their fingerprints, and an estimate of their time."""
