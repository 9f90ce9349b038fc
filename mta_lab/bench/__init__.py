"""Measure the cost of attention on this machine: contestants in turns, compared as ratios."""
