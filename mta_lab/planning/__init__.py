"""What a sweep needs: its runs with their fingerprints, and an estimate of their time."""
