"""Records of finished and failed runs, their states, and results that travel."""
