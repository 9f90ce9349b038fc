"""The cost of attention on this machine: contestants measured side by side, in turns, and compared as ratios."""
