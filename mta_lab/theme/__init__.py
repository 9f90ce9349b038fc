"""One look for all figures and pages."""
