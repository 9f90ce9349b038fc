"""What attention costs on this machine: contestants measured side by side, in turns, and compared as ratios."""

from mta_lab.bench.results import Comparison, Contestant, Measure, Report

__all__ = ["Comparison", "Contestant", "Measure", "Report"]
